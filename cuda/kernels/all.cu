// Every kernel, as one module for a card.
#include "conv.cu"
#include "fp8.cu"
#include "gemm.cu"
