//! Sizes of memory and counts in options: `4096`, `512M`, `1GiB`.

/// Units and their bytes, as in GNU's programs: `M` and `MiB` are powers of 1024, `MB` is a power of 1000.
const UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
];

/// Reads a number of bytes: digits, and a unit in either case if it is not bytes (`K`, `M`, `G`, `T`, the same with
/// `iB`, all powers of 1024; `KB`, `MB`, `GB`, `TB`, powers of 1000).
///
/// # Errors
/// The text is not such a size, or does not fit in 64 bits; the message describes valid sizes.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, &UNITS, "give bytes, such as 4096, 512M or 1GiB")
}

/// Powers of 1000.
const THOUSANDS: [(&str, u64); 5] =
    [("", 1), ("k", 1_000), ("m", 1_000_000), ("g", 1_000_000_000), ("t", 1_000_000_000_000)];

/// Reads a count: digits, and a unit in either case if there is one (`K`, `M`, `G`, `T`, powers of 1000).
///
/// # Errors
/// The text is not such a count, or does not fit in 64 bits; the message describes valid counts.
pub(crate) fn parse_count(text: &str) -> Result<u64, String> {
    parse(text, &THOUSANDS, "give a number, such as 4096, 500M or 20G")
}

fn parse(text: &str, units: &[(&str, u64)], help: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor);
    match (number.parse::<u64>(), factor) {
        (Ok(number), Some(factor)) => number.checked_mul(*factor).ok_or_else(|| "it is too large".to_string()),
        // Digits alone fail only if there are too many.
        (Err(_), Some(_)) if digits > 0 => Err("it is too large".into()),
        _ => Err(help.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_count, parse_size};

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, size) in [
            ("0", 0),
            ("4096", 4096),
            ("7b", 7),
            ("512M", 512 << 20),
            ("512m", 512 << 20),
            ("512MiB", 512 << 20),
            ("512 MB", 512_000_000),
            ("1G", 1 << 30),
            ("3KiB", 3 << 10),
            ("3kB", 3000),
            ("16T", 16 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
    }

    #[test]
    fn counts_have_units_of_a_thousand() {
        for (text, count) in [("0", 0), ("500M", 500_000_000), ("20g", 20_000_000_000), ("7 k", 7000)] {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
        assert!(parse_count("1MiB").unwrap_err().contains("500M"));
    }

    #[test]
    fn rejects_invalid_sizes() {
        for text in ["", "M", "-1", "1.5G", "1e9", "0x10", "12Q", "1 2", "512MM", "٣"] {
            assert!(parse_size(text).unwrap_err().contains("512M"), "{text}");
        }
        for text in ["18446744073709551616", "99999999999999999999G", "16777216T"] {
            assert_eq!(parse_size(text), Err("it is too large".into()), "{text}");
        }
    }
}
