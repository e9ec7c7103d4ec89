//! Against diffusers, and each branch on its own.
