//! Nearly valid plans of all operators, chosen by the bytes: what the parser takes runs to its end, with the same
//! outputs for any slicing, and for memory that is shared or not.

#![no_main]

use tealight_fuzz::exercise::{self, Outcome, exercise};
use tealight_fuzz::random::{self, Choices};
use tealight_fuzz::{LIMITS, split};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (mut rest, mut plan) = split(data);
    let parts = random::plan(&mut plan);
    let file = parts.file();
    if exercise(&file, LIMITS, &mut rest) == Outcome::Ran {
        let rest = &data[..data.len().min(64)];
        let outputs = |file: &[u8]| exercise::outputs(file, &mut Choices::new(rest));
        assert_eq!(outputs(&file), outputs(&random::apart(&parts).file()), "sharing memory shows in the outputs");
    }
});
