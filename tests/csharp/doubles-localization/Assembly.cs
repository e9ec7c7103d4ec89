// Doubles of com.unity.localization 1.5: names and signatures are the package's (tests/csharp/localization-api.lock).
// What tests need besides is internal.
using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Tests")]
