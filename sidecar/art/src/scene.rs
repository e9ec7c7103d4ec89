//! The built-in engine: a scene with a subject, drawn from a prompt.
