//! Against diffusers.
