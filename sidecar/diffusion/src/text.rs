//! Text: from a prompt to what the transformer looks at, as diffusers' `StableDiffusion3Pipeline.encode_prompt` does it.
//!
//! ```text
//! prompt ─► tokenizer ─► CLIP-L ┐ 77 rows, side by side ┐
//!      └──► tokenizer ─► CLIP-G ┘                       ├─► context [77 + T5 tokens, features]
//!      └──► tokenizer ─► T5 ──────── its rows below ────┘
//!                        CLIP-L, CLIP-G ─► pooled
//! ```

pub mod cache;
pub mod clip;
pub mod encode;
pub mod t5;
pub mod tokenizer;
