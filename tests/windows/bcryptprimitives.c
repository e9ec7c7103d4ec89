/* Wine 8 lacks this DLL, from which Rust's standard library takes its random bytes on Windows.
   For the tests under Wine only: Windows has its own, and nothing of this is shipped. */
#include <windows.h>

/* What advapi32 calls RtlGenRandom: the same bytes by an older name. */
BOOLEAN WINAPI SystemFunction036(PVOID bytes, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T length) {
    while (length > 0) {
        ULONG part = length > 0x10000 ? 0x10000 : (ULONG)length;
        if (!SystemFunction036(bytes, part)) {
            return FALSE;
        }
        bytes += part;
        length -= part;
    }
    return TRUE;
}
