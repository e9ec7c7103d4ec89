//! Spellings of the case studies find their rows; unknown ones get a hint.

use super::*;

#[test]
fn the_case_studies_spellings_resolve() {
    let catalogue = Catalogue::built_in();
    let cases = [
        ("SD3.5 Medium", "sd3.5-medium"),
        ("local-sd_medium", "sd3.5-medium"),
        ("local-sd3.5", "sd3.5-medium"),
        ("sd3.5_turbo", "sd3.5-large-turbo"),
        ("sd3-large", "sd3.5-large"),
        ("Imagen 4 Generate", "imagen-4"),
        ("imagen4_ultra", "imagen-4-ultra"),
        ("remote-imagen-polish", "imagen-4"),
        ("DALL·E 3 HD", "dall-e-3-hd"),
        ("dalle3-std", "dall-e-3-standard"),
        ("nano-banana", "nano-banana-pro"),
        ("Ideogram V2A Turbo", "ideogram-v2a-turbo"),
        ("BUILTIN", "builtin"),
    ];
    for (spelling, id) in cases {
        assert_eq!(catalogue.resolve(spelling).map(|row| row.id.as_str()), Ok(id), "{spelling}");
    }
}

#[test]
fn an_unknown_model_is_named_with_its_neighbour() {
    let error = Catalogue::built_in().resolve("sd3.5-meduim").expect_err("a misspelling");
    assert!(error.to_string().contains("did you mean \"sd3.5-medium\""), "{error}");
    let error = Catalogue::built_in().resolve("photoshop").expect_err("no such model");
    assert!(!error.to_string().contains("did you mean"), "{error}");
}

#[test]
fn two_rows_may_not_share_a_spelling() {
    let text = "[[model]]\nid='a'\nname='A'\nfamily='local'\naliases=['X']\n[[model]]\nid='b'\nname='B'\nfamily='local'\naliases=['x']\n";
    assert!(matches!(Catalogue::parse(text), Err(CatalogueError::Ambiguous { .. })));
}
