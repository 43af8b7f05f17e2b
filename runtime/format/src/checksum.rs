//! The checksum of a section: a tree of two levels, so that several threads can compute one.
//!
//! The bytes are cut into pieces of 1 MiB; the last piece may be shorter. The checksum is the XXH3 of
//! the pieces' XXH3s, in order, as little-endian numbers of 64 bits. The number of pieces follows from
//! the section's length, which the header's own checksum covers.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The bytes of a piece.
const PIECE: usize = 1 << 20;

/// The checksum of a section's bytes.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    root(bytes.chunks(PIECE).map(xxh3_64))
}

/// The number of pieces of a section.
pub(crate) fn pieces(bytes: &[u8]) -> usize {
    bytes.len().div_ceil(PIECE)
}

/// The checksum of one piece.
pub(crate) fn piece(bytes: &[u8], number: usize) -> u64 {
    bytes.chunks(PIECE).nth(number).map_or(0, xxh3_64)
}

/// The checksum of a section from those of its pieces.
pub(crate) fn root(pieces: impl Iterator<Item = u64>) -> u64 {
    let mut hasher = Xxh3::new();
    pieces.for_each(|piece| hasher.update(&piece.to_le_bytes()));
    hasher.digest()
}

/// The checksum of bytes that come one after the other.
pub(crate) struct Stream {
    pieces: Vec<u64>,
    /// The current piece, and the number of its bytes so far.
    piece: Xxh3,
    len: usize,
}

impl Stream {
    pub(crate) fn new() -> Stream {
        Stream { pieces: Vec::new(), piece: Xxh3::new(), len: 0 }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.len));
            self.piece.update(now);
            self.len += now.len();
            if self.len == PIECE {
                self.end_piece();
            }
            bytes = later;
        }
    }

    pub(crate) fn finish(mut self) -> u64 {
        if self.len > 0 {
            self.end_piece();
        }
        root(self.pieces.into_iter())
    }

    fn end_piece(&mut self) {
        self.pieces.push(self.piece.digest());
        self.piece.reset();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_and_the_whole_agree() {
        let bytes: Vec<u8> =
            (0..3 * PIECE as u32 + 7).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, bytes.len()] {
            for step in [PIECE / 3 + 1, PIECE, bytes.len()] {
                let mut stream = Stream::new();
                bytes[..len].chunks(step).for_each(|chunk| stream.update(chunk));
                assert_eq!(stream.finish(), of(&bytes[..len]), "{len} bytes in steps of {step}");
            }
            let pieces = (0..pieces(&bytes[..len])).map(|number| piece(&bytes[..len], number));
            assert_eq!(root(pieces), of(&bytes[..len]));
        }
    }

    #[test]
    fn the_order_of_pieces_counts() {
        let mut bytes = vec![0; 2 * PIECE];
        bytes[0] = 1;
        let first = of(&bytes);
        bytes.swap(0, PIECE);
        assert_ne!(of(&bytes), first);
    }
}
