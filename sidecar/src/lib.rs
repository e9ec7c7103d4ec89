//! thumbforge-sidecar
