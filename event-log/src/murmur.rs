//! Which partition a key belongs to, as Kafka's Java client says; knows no topic.

/// The partition of a key: `murmur2(key) & 0x7fffffff mod partitions`, as `DefaultPartitioner` of
/// Kafka's Java client. `partitions` is at least 1.
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) % partitions.max(1)
}

/// The 32-bit murmur2 of `org.apache.kafka.common.utils.Utils`, seed and all.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let (words, rest) = data.as_chunks::<4>();
    // The Java client takes the length as a signed 32-bit number; keys are far shorter.
    let mut hash = SEED ^ data.len() as u32;
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_the_answers_of_kafkas_own_tests() {
        let known = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn a_partition_is_the_positive_hash_modulo_their_number() {
        assert_eq!(partition_of("abc", 16), 479_470_107 % 16);
        assert_eq!(partition_of("21", 16), ((-973_932_308_i32) as u32 & 0x7fff_ffff) % 16);
        assert_eq!(partition_of("anything", 1), 0);
    }
}
