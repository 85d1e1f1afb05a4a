//! All bytes into a sink, or out of a source. What `embedded_io` has for this panics where an implementation returns a
//! count that makes no sense, and whether that is linked depends on what the compiler sees of the implementation.

use embedded_io::{Read, Write};

/// Writes all of `bytes`; returns whether the sink took them.
pub(crate) fn write_all(sink: &mut (impl Write + ?Sized), mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(written) if written > 0 => bytes = bytes.get(written..).unwrap_or_default(),
            _ => return false,
        }
    }
    true
}

/// Reads until `bytes` is full or the source ends; returns the number of bytes read.
///
/// # Errors
/// The source's.
pub(crate) fn fill<R: Read>(source: &mut R, bytes: &mut [u8]) -> Result<usize, R::Error> {
    let mut filled = 0_usize;
    while let Some(rest) = bytes.get_mut(filled..) {
        if rest.is_empty() {
            break;
        }
        match source.read(rest)? {
            0 => break,
            read => filled = filled.saturating_add(read),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes or gives two bytes at a time, at most as many as it has room for or has.
    struct Halting(std::vec::Vec<u8>);

    impl embedded_io::ErrorType for Halting {
        type Error = core::convert::Infallible;
    }

    impl Write for Halting {
        fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
            let taken = bytes.len().min(2).min(self.0.capacity() - self.0.len());
            self.0.extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> Result<(), Self::Error> {
            Ok(())
        }
    }

    impl Read for Halting {
        fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Self::Error> {
            let given = bytes.len().min(2).min(self.0.len());
            self.0.drain(..given).zip(bytes).for_each(|(from, to)| *to = from);
            Ok(given)
        }
    }

    #[test]
    fn all_bytes_are_written_or_it_is_told() {
        let mut sink = Halting(std::vec::Vec::with_capacity(8));
        let room = sink.0.capacity();
        assert!(write_all(&mut sink, &[1; 5]) && sink.0 == [1; 5]);
        assert!(!write_all(&mut sink, &[2; 100]));
        assert_eq!(sink.0.len(), room);
    }

    #[test]
    fn a_source_that_ends_fills_a_part() {
        let mut source = Halting(vec![1, 2, 3, 4, 5]);
        let mut bytes = [0; 4];
        assert_eq!(fill(&mut source, &mut bytes), Ok(4));
        assert_eq!((fill(&mut source, &mut bytes), bytes[0]), (Ok(1), 5));
    }
}
