//! Noise of PyTorch's generator.

use thumbforge_diffusion::noise::{Noise, NoiseKind};

use crate::fixture::{REFERENCES, numbers};

#[test]
fn noise_is_that_of_torch_to_the_bit() {
    for case in REFERENCES.cases("randn") {
        let mut noise = Noise::new(NoiseKind::TorchCpu, case.asked["seed"].as_u64().expect("a seed"));
        for (place, count) in numbers(&case.asked["draws"]).into_iter().enumerate() {
            let mut got = vec![0.0; count];
            noise.fill(&mut got);
            let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
            let expected = case.singles(&format!("draw{place}"));
            assert_eq!(bits(&got), bits(&expected), "{}: draw {place} of {count}", case.name);
        }
    }
}
