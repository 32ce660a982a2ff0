//! A filter over keys that are hashes already: says of most others that they are not among them, never so of one that is.
//!
//! A blocked Bloom filter (Putze, Sanders, Singler, 2007): one cache line for each look-up.

/// Bits for each key: with six probes about one in two hundred other keys is let through.
const BITS_PER_KEY: usize = 12;
const PROBES: u32 = 6;
const BLOCK_WORDS: usize = 8;
/// Which of a block's 512 bits.
const BIT_MASK: u64 = 511;
const BITS_OF_PROBE: u32 = 9;

/// A filter over so many keys as it was made for.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    words: Vec<u64>,
}

impl Filter {
    /// A filter for so many keys.
    pub fn new(keys: usize) -> Filter {
        let blocks = (keys * BITS_PER_KEY).div_ceil(BLOCK_WORDS * 64).max(1);
        Filter { words: vec![0; blocks * BLOCK_WORDS] }
    }

    /// Adds a key.
    pub fn add(&mut self, key: &[u8; 16]) {
        let (start, mut bits) = self.place(key);
        for _ in 0..PROBES {
            let bit = bits & BIT_MASK;
            self.words[start + (bit >> 6) as usize] |= 1 << (bit & 63);
            bits >>= BITS_OF_PROBE;
        }
    }

    /// Whether this key may have been added; false only if it was not.
    pub fn may_hold(&self, key: &[u8; 16]) -> bool {
        let (start, mut bits) = self.place(key);
        (0..PROBES).all(|_| {
            let bit = bits & BIT_MASK;
            bits >>= BITS_OF_PROBE;
            self.words[start + (bit >> 6) as usize] & (1 << (bit & 63)) != 0
        })
    }

    /// The first word of a key's block, and the bits that its probes are cut from.
    fn place(&self, key: &[u8; 16]) -> (usize, u64) {
        let whole = u128::from_le_bytes(*key);
        let blocks = (self.words.len() / BLOCK_WORDS) as u128;
        // The high half, scaled to the number of blocks; the low half for the probes.
        let block = ((whole >> 64) * blocks) >> 64;
        (block as usize * BLOCK_WORDS, whole as u64)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// None when the bytes are no filter.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Filter> {
        let (words, rest) = bytes.as_chunks::<8>();
        let fits = rest.is_empty() && !words.is_empty() && words.len() % BLOCK_WORDS == 0;
        fits.then(|| Filter { words: words.iter().map(|word| u64::from_le_bytes(*word)).collect() })
    }
}
