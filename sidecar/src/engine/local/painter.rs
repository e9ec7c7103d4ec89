//! What the model thread draws with: a model on a device, or a test's stand-in.

use std::time::Duration;

use thumbforge_core::image::ImageBuf;
use thumbforge_core::verdict::Finding;

use super::super::EngineError;
use super::asked::{Asked, Files};
use super::room::Plan;

/// Draws with models. It lives on the model thread.
pub(crate) trait Painter: Send + 'static {
    /// An open model.
    type Model;

    /// Opens a model. Weights are mapped; what the device needs is loaded when it is first drawn with.
    ///
    /// # Errors
    /// What is wrong with its files.
    fn open(&self, files: &Files) -> Result<Self::Model, EngineError>;

    /// How pictures like `asked` fit into the memory that is free now, and into `most` bytes of it.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] with the figures, or why no such picture can be drawn at all.
    fn fit(&self, model: &mut Self::Model, asked: &Asked, pictures: usize, most: u64) -> Result<Plan, EngineError>;

    /// Begins anew on the device, after [`EngineError::Lost`]. No model of before is left.
    ///
    /// # Errors
    /// Why the device cannot be had again.
    fn restart(&self) -> Result<(), EngineError>;

    /// Nobody drew for `idle`, and no model is open: what the device holds goes back to others, unless somebody planned with
    /// it meanwhile.
    fn rest(&self, idle: Duration);

    /// Draws pictures that may share a call, fewer at once where `plan` says so.
    ///
    /// # Errors
    /// Why there are none.
    fn draw(
        &self,
        model: &mut Self::Model,
        asked: &[&Asked],
        plan: &Plan,
        watch: &dyn Watch,
    ) -> Result<Vec<Painted>, EngineError>;
}

/// Sees a call go on.
pub(crate) trait Watch {
    /// `done` of `of` steps are done.
    fn step(&self, done: u32, of: u32);
    /// Whether nobody wants its pictures any more.
    fn is_cancelled(&self) -> bool;
}

/// A picture, and what people should know of it.
#[derive(Debug)]
pub(crate) struct Painted {
    /// Of the size that was asked.
    pub image: ImageBuf,
    /// Words that no encoder read, a size that was cropped.
    pub findings: Vec<Finding>,
}
