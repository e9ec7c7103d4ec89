//! thumbforge-diffusion
