//! Settings that only models with weights on this machine have: noise, number format, skipped layers, and how a mask works.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most layers that skip-layer guidance names: the deepest model of the catalogue has 38 blocks.
pub const SKIPPED_LAYERS_MAX: usize = 64;
/// Widest feather of a mask in pixels: beyond a quarter of the largest picture nothing of the mask is left.
pub const FEATHER_MAX: u32 = 1024;

/// Where the Gaussian numbers come from that a picture begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// A counter-based generator that is the same on every device.
    #[default]
    Philox,
    /// PyTorch's generator on a processor, so that a seed gives the picture that users of diffusers and ComfyUI know.
    TorchCpu,
}

impl Noise {
    /// The word in manifests, flags and keys.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Philox => "philox",
            Self::TorchCpu => "torch-cpu",
        }
    }
}

impl FromStr for Noise {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "philox" => Ok(Self::Philox),
            "torch-cpu" => Ok(Self::TorchCpu),
            other => Err(format!("read the noise {other:?}: write philox or torch-cpu")),
        }
    }
}

/// The number format that a model is computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32-bit floating point.
    F32,
    /// bfloat16, summed in 32 bits.
    Bf16,
}

impl Dtype {
    /// The word in manifests, flags and keys.
    pub const fn word(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

impl FromStr for Dtype {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            other => Err(format!("read the number format {other:?}: write f32 or bf16")),
        }
    }
}

/// What becomes of what a mask leaves alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MaskMode {
    /// Its pixels stay as they were, to the last bit.
    #[default]
    Keep,
    /// It goes through the model as in diffusers, which changes it a little.
    Diffusers,
}

impl MaskMode {
    /// The word in manifests, flags and keys.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Diffusers => "diffusers",
        }
    }
}

impl FromStr for MaskMode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "keep" => Ok(Self::Keep),
            "diffusers" => Ok(Self::Diffusers),
            other => Err(format!("read the mask mode {other:?}: write keep or diffusers")),
        }
    }
}

/// Skip-layer guidance: away from what the model draws without some of its layers, during a part of the steps.
///
/// Written as `LAYERS:SCALE:START:STOP`, as in `7,8,9:2.8:0.01:0.2`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SkipLayers {
    /// Blocks that are left out, counted from 0, in order and each once.
    pub layers: Vec<u32>,
    /// How strongly.
    pub scale: f64,
    /// From which share of the steps on.
    pub start: f64,
    /// Until which share of the steps.
    pub stop: f64,
}

impl FromStr for SkipLayers {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            Err(format!(
                "read the skipped layers {text:?}: {why}; write LAYERS:SCALE:START:STOP, as in 7,8,9:2.8:0.01:0.2"
            ))
        };
        let parts: Vec<&str> = text.split(':').collect();
        let [layers, numbers @ ..] = parts.as_slice() else { return wrong("there is nothing") };
        let Ok(mut layers) = layers.split(',').map(|layer| layer.trim().parse()).collect::<Result<Vec<u32>, _>>()
        else {
            return wrong("layers are whole numbers from 0, with commas between");
        };
        layers.sort_unstable();
        layers.dedup();
        if layers.len() > SKIPPED_LAYERS_MAX {
            return wrong("there are more layers than any model has");
        }
        let Ok(numbers) = numbers.iter().map(|number| number.trim().parse()).collect::<Result<Vec<f64>, _>>() else {
            return wrong("scale, start and stop are numbers");
        };
        let [scale, start, stop] = numbers[..] else { return wrong("it has not four parts") };
        if !(0.0..=100.0).contains(&scale) {
            return wrong("the scale goes from 0 to 100");
        }
        if !(0.0 <= start && start < stop && stop <= 1.0) {
            return wrong("start and stop are shares of the steps from 0 to 1, the start first");
        }
        Ok(Self { layers, scale, start, stop })
    }
}

impl fmt::Display for SkipLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, layer) in self.layers.iter().enumerate() {
            write!(f, "{}{layer}", if at == 0 { "" } else { "," })?;
        }
        write!(f, ":{}:{}:{}", self.scale, self.start, self.stop)
    }
}

impl TryFrom<String> for SkipLayers {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SkipLayers> for String {
    fn from(skip: SkipLayers) -> Self {
        skip.to_string()
    }
}

impl JsonSchema for SkipLayers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SkipLayers".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Skip-layer guidance as LAYERS:SCALE:START:STOP, as in \"7,8,9:2.8:0.01:0.2\".",
            "type": "string",
            "pattern": "^[0-9]+(,[0-9]+)*:[0-9.]+:[0-9.]+:[0-9.]+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_layers_are_read_and_written() {
        let check = |text: &str, expected: &str| {
            let said = text.parse::<SkipLayers>().map_or_else(|err| err, |skip| skip.to_string());
            assert!(said.contains(expected), "{text}: {said}");
        };
        check("7,8,9:2.8:0.01:0.2", "7,8,9:2.8:0.01:0.2");
        check("9, 7,7 : 3 :0:1", "7,9:3:0:1");
        check("", "layers are whole numbers");
        check("7", "it has not four parts");
        check("7:2.8:0.01:0.2:1", "it has not four parts");
        check("a:2.8:0.01:0.2", "layers are whole numbers");
        check("7:x:0.01:0.2", "are numbers");
        check("7:nan:0.01:0.2", "the scale goes from 0 to 100");
        check("7:2.8:0.2:0.2", "start and stop");
        check("7:2.8:0:1.1", "start and stop");
        check("7:2.8:nan:1", "start and stop");
        let many: Vec<String> = (0..65).map(|layer| layer.to_string()).collect();
        check(&format!("{}:1:0:1", many.join(",")), "more layers");
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for noise in [Noise::Philox, Noise::TorchCpu] {
            assert_eq!(noise.word().parse(), Ok(noise));
            assert_eq!(serde_json::to_value(noise).unwrap(), noise.word());
        }
        for dtype in [Dtype::F32, Dtype::Bf16] {
            assert_eq!(dtype.word().parse(), Ok(dtype));
            assert_eq!(serde_json::to_value(dtype).unwrap(), dtype.word());
        }
        for mode in [MaskMode::Keep, MaskMode::Diffusers] {
            assert_eq!(mode.word().parse(), Ok(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.word());
        }
        assert!("torch".parse::<Noise>().is_err() && "fp16".parse::<Dtype>().is_err());
    }
}
