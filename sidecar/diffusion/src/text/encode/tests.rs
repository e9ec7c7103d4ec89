//! Encoders on the device of plain loops.
