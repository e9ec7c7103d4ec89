//! thumbforge-cuda
