//! The autoencoder in its memory, a picture at a time, whole or in tiles.

use crate::config::VaeConfig;
use crate::device::Device;
use crate::dtype::Precision;
use crate::error::DiffusionError;
use crate::pipeline::denoise::Running;
use crate::pipeline::estimate::flops;
use crate::pipeline::stage::Stage;
use crate::vae::tiles::{Canvas, Tiles};
use crate::vae::{self, FEATURES, LATENTS, MOMENTS, PICTURE};

/// Programs of one way for one size.
#[derive(Debug)]
pub(crate) enum Coder {
    /// The whole picture at once.
    Whole(Stage),
    /// The levels tile by tile, the middle at once.
    Tiled { middle: Stage, levels: Stage, tiles: Tiles },
}

/// Height and width in latent pixels.
pub(crate) type Size = (usize, usize);

impl Coder {
    /// Latents to pictures.
    pub(crate) fn decoder(
        config: &VaeConfig,
        (height, width): Size,
        tiles: Option<Tiles>,
        precision: Precision,
    ) -> Self {
        match cut((height, width), tiles) {
            None => Self::Whole(Stage::new(vae::decode(config, 1, height, width), precision)),
            Some((tiles, tall, wide)) => Self::Tiled {
                middle: Stage::new(vae::decode_middle(config, 1, height, width), precision),
                levels: Stage::new(vae::decode_levels(config, 1, tall, wide), precision),
                tiles,
            },
        }
    }

    /// Pictures to the moments of latents.
    pub(crate) fn encoder(
        config: &VaeConfig,
        (height, width): Size,
        tiles: Option<Tiles>,
        precision: Precision,
    ) -> Self {
        match cut((height, width), tiles) {
            None => Self::Whole(Stage::new(vae::encode(config, 1, height, width), precision)),
            Some((tiles, tall, wide)) => Self::Tiled {
                middle: Stage::new(vae::encode_middle(config, 1, height, width), precision),
                levels: Stage::new(vae::encode_levels(config, 1, tall, wide), precision),
                tiles,
            },
        }
    }

    fn stages(&self) -> Vec<&Stage> {
        match self {
            Self::Whole(stage) => vec![stage],
            Self::Tiled { middle, levels, .. } => vec![middle, levels],
        }
    }

    /// Bytes of memory that it needs.
    pub(crate) fn bytes(&self) -> u64 {
        self.stages().into_iter().map(Stage::bytes).max().unwrap_or(0)
    }

    /// What the device takes beside it.
    pub(crate) fn workspace_bytes<D: Device>(&self, device: &D) -> u64 {
        self.stages().into_iter().map(|stage| device.workspace_bytes(&stage.program)).max().unwrap_or(0)
    }

    /// Likewise of one that decodes to pictures of so many pixels, which may leave the device as bytes.
    pub(crate) fn decoder_workspace_bytes<D: Device>(&self, device: &D, pixels: usize) -> u64 {
        let bytes = match self {
            Self::Whole(_) => device.rgba8_workspace_bytes(pixels),
            Self::Tiled { .. } => 0,
        };
        self.workspace_bytes(device).max(bytes)
    }

    /// Whether it changes pixels.
    pub(crate) fn lossy(&self) -> bool {
        matches!(self, Self::Tiled { .. })
    }

    /// Multiplications and additions for a picture of `size`.
    pub(crate) fn flops(&self, (height, width): Size) -> u64 {
        match self {
            Self::Whole(stage) => flops(&stage.program),
            Self::Tiled { middle, levels, tiles } => {
                flops(&middle.program) + flops(&levels.program) * tiles.of(height, width).len() as u64
            }
        }
    }

    /// Unscaled latents `[height · width, latent]` to a picture `[…, 3]`, -1 to 1 and a little beyond.
    pub(crate) fn decode<D: Device>(
        &self,
        running: &mut Running<'_, D>,
        config: &VaeConfig,
        (height, width): Size,
        latents: &[f32],
    ) -> Result<Vec<f32>, DiffusionError> {
        match self {
            Self::Whole(stage) => through(running, stage, LATENTS, latents, PICTURE),
            Self::Tiled { middle, levels, tiles } => {
                let features = through(running, middle, LATENTS, latents, FEATURES)?;
                let (channels, factor) = (features.len() / (height * width).max(1), config.factor());
                let mut canvas = Canvas::new(height * factor, width * factor, 3);
                for tile in tiles.of(height, width) {
                    let cut = tile.cut(&features, width, channels);
                    let pixels = through(running, levels, FEATURES, &cut, PICTURE)?;
                    canvas.lay(tiles, factor, tile.times(factor), &pixels);
                }
                Ok(canvas.finish())
            }
        }
    }

    /// As [`Coder::decode`], to red, green, blue and an alpha of 255 that the device makes; `None` where tiles are blended on
    /// the host, which takes their numbers.
    pub(crate) fn decode_rgba8<D: Device>(
        &self,
        running: &mut Running<'_, D>,
        latents: &[f32],
    ) -> Option<Result<Vec<u8>, DiffusionError>> {
        match self {
            Self::Whole(stage) => Some(ran(running, stage, LATENTS, latents).and_then(|()| {
                let Running { device, memory, .. } = running;
                stage.read_rgba8(*device, memory, PICTURE)
            })),
            Self::Tiled { .. } => None,
        }
    }

    /// A picture of `size`, -1 to 1, to the moments of its latents `[height · width, 2 · latent]`.
    pub(crate) fn encode<D: Device>(
        &self,
        running: &mut Running<'_, D>,
        config: &VaeConfig,
        (height, width): Size,
        picture: &[f32],
    ) -> Result<Vec<f32>, DiffusionError> {
        match self {
            Self::Whole(stage) => through(running, stage, PICTURE, picture, MOMENTS),
            Self::Tiled { middle, levels, tiles } => {
                let (factor, channels) = (config.factor(), config.channels.last().copied().unwrap_or(0));
                let mut canvas = Canvas::new(height, width, channels);
                for tile in tiles.of(height, width) {
                    let cut = tile.times(factor).cut(picture, width * factor, 3);
                    let features = through(running, levels, PICTURE, &cut, FEATURES)?;
                    canvas.lay(tiles, 1, tile, &features);
                }
                through(running, middle, FEATURES, &canvas.finish(), MOMENTS)
            }
        }
    }
}

/// Tiles and the size of each; `None` where one tile is the picture.
fn cut((height, width): Size, tiles: Option<Tiles>) -> Option<(Tiles, usize, usize)> {
    let tiles = tiles.filter(|tiles| height > tiles.side || width > tiles.side)?;
    Some((tiles, tiles.along(height).1, tiles.along(width).1))
}

fn through<D: Device>(
    running: &mut Running<'_, D>,
    stage: &Stage,
    from: &str,
    numbers: &[f32],
    to: &str,
) -> Result<Vec<f32>, DiffusionError> {
    ran(running, stage, from, numbers)?;
    let Running { device, memory, .. } = running;
    stage.read(*device, memory, to)
}

fn ran<D: Device>(
    running: &mut Running<'_, D>,
    stage: &Stage,
    from: &str,
    numbers: &[f32],
) -> Result<(), DiffusionError> {
    let Running { device, model, memory, stop } = running;
    stage.write(*device, memory, from, numbers)?;
    stage.run(*device, model, memory, *stop)
}
