//! A stand-in for NVIDIA's driver: it runs the kernels' own source on the processor.
