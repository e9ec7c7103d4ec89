//! Against torch, against the authors' vectors, and against what Gaussian means.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Row {
    seed: u64,
    draws: Vec<Draw>,
}

#[derive(Deserialize)]
struct Draw {
    count: usize,
    hash: String,
    words: Option<Vec<u32>>,
}

#[test]
fn torch_noise_is_torchs_to_the_bit() {
    let text = match std::env::var_os("NOISE_REFERENCE") {
        Some(path) => std::fs::read_to_string(path).unwrap(),
        None => include_str!("tests/reference.json").to_owned(),
    };
    let rows: Vec<Row> = serde_json::from_str(&text).unwrap();
    for row in rows {
        let mut noise = Noise::new(NoiseKind::TorchCpu, row.seed);
        for (at, draw) in row.draws.iter().enumerate() {
            let mut numbers = vec![0.0; draw.count];
            noise.fill(&mut numbers);
            let words: Vec<u32> = numbers.iter().map(|number| number.to_bits()).collect();
            let name = format!("seed {} draw {at} of {}", row.seed, draw.count);
            if let Some(expected) = &draw.words {
                assert_eq!(&words, expected, "{name}");
            }
            assert_eq!(hash(&words), draw.hash, "{name}");
        }
    }
}

/// FNV-1a over words.
fn hash(words: &[u32]) -> String {
    let mix = |hash: u64, word: &u32| (hash ^ u64::from(*word)).wrapping_mul(0x100_0000_01B3);
    format!("{:016x}", words.iter().fold(0xCBF2_9CE4_8422_2325, mix))
}

#[test]
fn philox_is_that_of_its_authors() {
    // `kat_vectors` of the Random123 distribution, philox4x32 with 10 rounds.
    for (counter, key, expected) in [
        ([0; 4], [0; 2], [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]),
        (
            [0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344],
            [0xA409_3822, 0x299F_31D0],
            [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1],
        ),
    ] {
        assert_eq!(philox::philox(counter, key), expected);
    }
}

/// `count` numbers of a new generator.
fn philox_numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut numbers = vec![0.0; count];
    Philox::new(seed).fill(&mut numbers);
    numbers
}

#[test]
fn philox_noise_stays_what_it_is() {
    // Bits of the numbers as they were first drawn: pictures of old recipes depend on them.
    for (seed, expected) in [(0, "4124783298386bb1"), (1, "89d90c7b29e532e7"), (u64::MAX, "8ded7a2bf82203b5")] {
        let mut philox = Philox::new(seed);
        let mut numbers = vec![0.0; 1003];
        philox.fill(&mut numbers[..400]);
        philox.fill(&mut numbers[400..]);
        let words: Vec<u32> = numbers.iter().map(|number| number.to_bits()).collect();
        assert_eq!(hash(&words), expected, "{seed}");
    }
}

#[test]
fn philox_numbers_depend_on_place_draw_and_seed_alone() {
    assert_eq!(philox_numbers(9, 100)[..37], philox_numbers(9, 37));
    assert_ne!(philox_numbers(9, 8), philox_numbers(10, 8));
    assert_ne!(philox_numbers(9, 8), philox_numbers(9 + (1 << 32), 8));
    let mut philox = Philox::new(9);
    let (mut first, mut second) = (vec![0.0; 8], vec![0.0; 8]);
    philox.fill(&mut first);
    philox.fill(&mut second);
    assert_ne!(first, second);
}

#[test]
fn both_are_gaussian() {
    const COUNT: usize = 200_000;
    for kind in [NoiseKind::Philox, NoiseKind::TorchCpu] {
        let mut numbers = vec![0.0; COUNT];
        Noise::new(kind, 5).fill(&mut numbers);
        let moment = |power: i32| numbers.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / COUNT as f64;
        // Of even powers the means are 1, 3, 15; bounds are five deviations of a mean of so many.
        for (power, expected, within) in [(1, 0.0, 0.012), (2, 1.0, 0.016), (3, 0.0, 0.045), (4, 3.0, 0.12)] {
            assert!((moment(power) - expected).abs() < within, "{kind:?}: moment {power} is {}", moment(power));
        }
        // Neighbours know nothing of each other.
        for apart in [1, 2, 4, 8, 16] {
            let together = numbers.iter().zip(&numbers[apart..]).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            assert!((together / COUNT as f64).abs() < 0.012, "{kind:?}: {apart} apart {together}");
        }
    }
}

#[test]
fn words_name_kinds() {
    for kind in [NoiseKind::Philox, NoiseKind::TorchCpu] {
        assert_eq!(kind.word().parse(), Ok(kind));
    }
    assert!("gpu".parse::<NoiseKind>().unwrap_err().contains("torch-cpu"));
}
