//! How near two answers are.

/// The largest difference, in parts of the largest expected number.
pub(crate) fn error(got: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(got.len(), expected.len(), "another count of numbers");
    let scale = expected.iter().fold(0.0f64, |scale, value| scale.max(f64::from(value.abs())));
    let far = got.iter().zip(expected).map(|(got, expected)| f64::from(*got) - f64::from(*expected));
    // A maximum would drop NaN.
    far.fold(0.0f64, |most, off| if off.abs() > most || off.is_nan() { off.abs() } else { most }) / scale
}

/// Fails unless the largest difference is within `tolerance` of the largest expected number.
pub(crate) fn assert_close(name: &str, got: &[f32], expected: &[f32], tolerance: f64) {
    let error = error(got, expected);
    println!("{name}: {error:.2e} of {tolerance:.0e}");
    assert!(error <= tolerance, "{name}: off by {error:e} of the scale, {tolerance:e} are allowed");
}

/// The root of the mean square of the difference, in parts of that of the expected numbers.
pub(crate) fn rms(got: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(got.len(), expected.len(), "another count of numbers");
    let square = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|value| value * value).sum::<f64>();
    let off = square(&mut got.iter().zip(expected).map(|(got, expected)| f64::from(*got) - f64::from(*expected)));
    (off / square(&mut expected.iter().map(|value| f64::from(*value)))).sqrt()
}

/// Peak signal to noise ratio of two pictures of bytes, in decibels; infinite where they are equal.
pub(crate) fn psnr(got: &[u8], expected: &[u8]) -> f64 {
    assert_eq!(got.len(), expected.len(), "another size of picture");
    let square: f64 =
        got.iter().zip(expected).map(|(got, expected)| (f64::from(*got) - f64::from(*expected)).powi(2)).sum();
    10.0 * (255.0f64 * 255.0 / (square / got.len() as f64)).log10()
}
