//! Writes everything that is generated: `cargo run -p thumbforge-bindgen`.

use std::fs;
use std::io;

fn main() -> io::Result<()> {
    for generated in thumbforge_bindgen::generate()? {
        let path = thumbforge_bindgen::root().join(generated.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // A file that is as it should be keeps its time, so that nothing is built anew.
        if fs::read_to_string(&path).ok().as_deref() != Some(&generated.text) {
            fs::write(&path, generated.text)?;
            println!("wrote {}", generated.path);
        }
    }
    Ok(())
}
