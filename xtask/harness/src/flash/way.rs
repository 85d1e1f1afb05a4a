//! The way in which a board is flashed, of those that its `board.toml` states.

use crate::board::Board;
use crate::error::Usage;
use anyhow::Result;
use clap::ValueEnum;
use tealight_board_spec::Flash;

/// Ways in which boards are flashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// By a debug probe
    Probe,
    /// By a UF2 file, to the drive that the chip's boot loader is
    Uf2,
    /// By the chip's boot loader on a serial port
    Serial,
}

impl Way {
    /// Its `method` in `board.toml`.
    fn method(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Uf2 => "uf2",
            Self::Serial => "serial",
        }
    }
}

/// The way that is asked for; otherwise the one that a probe or a place belongs to, if one is named; otherwise the
/// board's first one.
///
/// # Errors
/// The board has no such way, or the options are of different ways.
pub(super) fn choose(board: &Board, wanted: Option<Way>, probe: bool, place: bool) -> Result<&Flash> {
    let fits = |way: &&Flash| match (wanted, probe, place) {
        (Some(wanted), ..) => way.method() == wanted.method(),
        (None, true, _) => matches!(way, Flash::Probe(_)),
        (None, false, true) => !matches!(way, Flash::Probe(_)),
        (None, false, false) => true,
    };
    let Some(way) = board.flash.iter().find(fits) else {
        let ways: Vec<_> = board.flash.iter().map(|way| format!("--by {}", way.method())).collect();
        return Err(Usage(format!("{} is not flashed in that way, but by: {}", board.id, ways.join(", "))).into());
    };
    let by_probe = matches!(way, Flash::Probe(_));
    if by_probe && place {
        return Err(Usage(format!("a debug probe takes no --to; {} is flashed by it", board.id)).into());
    }
    if !by_probe && probe {
        return Err(Usage(format!("--by {} takes no --probe", way.method())).into());
    }
    Ok(way)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(id: &str) -> Board {
        Board::all(&crate::context::root()).unwrap().into_iter().find(|board| board.id == id).unwrap()
    }

    #[test]
    fn a_board_is_flashed_in_its_first_way_or_in_the_one_that_is_named() {
        let pico = board("pico");
        let chosen = |wanted, probe, place| choose(&pico, wanted, probe, place).map(Flash::method);
        // Without a debug probe, as most have it.
        assert_eq!(chosen(None, false, false).unwrap(), "uf2");
        assert_eq!(chosen(None, true, false).unwrap(), "probe");
        assert_eq!(chosen(None, false, true).unwrap(), "uf2");
        assert_eq!(chosen(Some(Way::Probe), false, false).unwrap(), "probe");
    }

    #[test]
    fn options_of_a_way_that_the_board_lacks_or_that_is_not_chosen_are_refused() {
        let pico = board("pico");
        for (wanted, probe, place, part) in [
            (Some(Way::Serial), false, false, "--by uf2, --by probe"),
            (Some(Way::Probe), false, true, "takes no --to"),
            (Some(Way::Uf2), true, false, "takes no --probe"),
        ] {
            let error = choose(&pico, wanted, probe, place).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains(part), "{error}");
        }
        assert!(choose(&board("microbit"), None, false, true).unwrap_err().to_string().contains("--by probe"));
    }
}
