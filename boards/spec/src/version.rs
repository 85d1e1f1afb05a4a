//! Version numbers of tools, for comparisons.

use std::fmt;
use std::str::FromStr;

/// A dotted version; missing parts count as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u32; 3]);

impl Version {
    /// Returns the first part of `text` that looks like a version (`major.minor`, digits and dots).
    pub fn find(text: &str) -> Option<Self> {
        text.split(|c: char| c.is_whitespace() || c == '(' || c == ')')
            .filter(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
            .find_map(|word| word.parse().ok())
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a version such as 7.2");
        let mut parts = [0; 3];
        let number = text.split(['-', '+']).next().unwrap_or_default();
        let mut words = number.split('.');
        for part in &mut parts {
            let Some(word) = words.next() else { break };
            *part = word.parse().map_err(|_| bad())?;
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        match patch {
            0 => write!(f, "{major}.{minor}"),
            _ => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_not_by_text() {
        let v = |text: &str| text.parse::<Version>().unwrap();
        assert!(v("10.0.2") > v("7.2"));
        assert!(v("7.2.22") > v("7.2"));
        assert!(v("7.2") == v("7.2.0"));
        assert!(v("4.2") < v("4.10"));
    }

    #[test]
    fn parses_the_version_line_of_qemu() {
        let line = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)";
        assert_eq!(Version::find(line).unwrap().to_string(), "7.2.22");
        let line = "QEMU emulator version 10.0.2 (qemu-10.0.2-1.fc42)";
        assert_eq!(Version::find(line).unwrap().to_string(), "10.0.2");
        assert_eq!(Version::find("QEMU emulator version 9.1.0-rc2").unwrap().to_string(), "9.1");
        assert_eq!(Version::find("no version here."), None);
    }

    #[test]
    fn rejects_an_invalid_version_with_the_text() {
        assert!("new".parse::<Version>().unwrap_err().contains("`new`"));
    }
}
