//! Pictures that were bought a moment ago, decoded, on their way to be drawn over: what was read once to see whether it
//! can be is not read again.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::ImageBuf;

/// Bytes of pixels and files that are held at once: some sixty thumbnails. What does not fit is read from the store.
const BYTES_MAX: usize = 64 << 20;

/// The pictures, oldest first.
#[derive(Default)]
pub struct Fresh {
    pictures: Mutex<VecDeque<(ContentHash, ImageBuf, Bytes)>>,
}

impl Fresh {
    /// Holds a picture until it is taken, or until newer ones need its room.
    pub fn put(&self, blob: ContentHash, image: ImageBuf, file: Bytes) {
        let mut pictures = self.pictures.lock();
        pictures.push_back((blob, image, file));
        let size = |(_, image, file): &(ContentHash, ImageBuf, Bytes)| image.pixels().len() + file.len();
        let mut held: usize = pictures.iter().map(size).sum();
        while held > BYTES_MAX
            && let Some(oldest) = pictures.pop_front()
        {
            held -= size(&oldest);
        }
    }

    /// Gives a picture and its file out, once.
    pub fn take(&self, blob: ContentHash) -> Option<(ImageBuf, Bytes)> {
        let mut pictures = self.pictures.lock();
        let at = pictures.iter().position(|(held, ..)| *held == blob)?;
        pictures.remove(at).map(|(_, image, file)| (image, file))
    }
}

#[cfg(test)]
mod tests {
    use thumbforge_core::image::Extent;

    use super::*;

    fn image(side: u32) -> ImageBuf {
        ImageBuf::from_rgba(Extent { width: side, height: side }, vec![0; (side * side * 4) as usize])
            .expect("an image")
    }

    #[test]
    fn a_picture_is_given_out_once() {
        let fresh = Fresh::default();
        fresh.put(ContentHash([1; 32]), image(16), Bytes::new());
        assert!(fresh.take(ContentHash([1; 32])).is_some());
        assert!(fresh.take(ContentHash([1; 32])).is_none());
    }

    #[test]
    fn newer_ones_take_the_room_of_older_ones() {
        let fresh = Fresh::default();
        for number in 0..5 {
            // 16 MiB of pixels each.
            fresh.put(ContentHash([number; 32]), image(2048), Bytes::new());
        }
        assert!(fresh.take(ContentHash([0; 32])).is_none(), "five of 16 MiB do not fit");
        assert!(fresh.take(ContentHash([1; 32])).is_some());
    }
}
