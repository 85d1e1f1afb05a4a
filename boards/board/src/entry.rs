//! The entry point of a board's image, where a board, a model and an app are combined.

/// Defines the image of a board: `tealight_board::firmware!(Machine)` after the definition of the
/// [`Machine`](crate::Machine); `firmware!(wired Machine)` if its console is a UART or RTT.
#[macro_export]
macro_rules! firmware {
    (wired $machine:ty) => {
        $crate::firmware!(board $crate::Wired::<$machine>::take());
    };
    (board $board:expr) => {
        /// The function that the start-up code calls, once.
        #[unsafe(export_name = "main")]
        extern "C" fn tealight_main() -> ! {
            $crate::guard_stack();
            $crate::run!($board)
        }
    };
    ($machine:ty) => {
        $crate::firmware!(board $crate::connected!($machine));
    };
}

/// The board of a machine without a connection of its own: the host's semihosting, or with the feature `rtt` a debugger.
#[cfg(not(feature = "rtt"))]
#[doc(hidden)]
#[macro_export]
macro_rules! connected {
    ($machine:ty) => {
        $crate::Semihosted::<$machine>::take()
    };
}

/// The board of a machine whose log a debugger reads.
#[cfg(feature = "rtt")]
#[doc(hidden)]
#[macro_export]
macro_rules! connected {
    ($machine:ty) => {
        $crate::Wired::<$crate::rtt::Rtt<$machine>>::take()
    };
}

/// Runs the app on a board, `tealight_board::run!(board)`, and never returns. Once in a program.
///
/// The features of `tealight-board` select the app: `audio`, `balance`, `text`, `loadable`, `model-slot`,
/// `measure-interrupts`, or none of them.
/// The build script (`tealight-board-build`) sets the path of the compiled model to embed, `TEALIGHT_MODEL` or a model of
/// digits, and that of the inputs to embed, if there are any: `TEALIGHT_INPUT`.
#[macro_export]
macro_rules! run {
    ($board:expr) => {{
        #[cfg(embedded_input)]
        static INPUT: Option<&[u8]> = Some(include_bytes!(env!("TEALIGHT_INPUT")));
        #[cfg(not(embedded_input))]
        static INPUT: Option<&[u8]> = None;

        $crate::run_app!($board, INPUT)
    }};
}

/// Calls a function `app(board, model, arena, rest…)` with the embedded model and an arena of its size.
#[cfg(any(feature = "audio", feature = "balance", feature = "text", not(feature = "loadable")))]
#[doc(hidden)]
#[macro_export]
macro_rules! run_embedded {
    ($app:path, $board:expr, $($rest:expr),+) => {{
        $crate::tealight::include_model!(static MODEL = env!("TEALIGHT_MODEL"));
        static mut MEMORY: $crate::tealight::Arena<{ MODEL.arena_len() }> = $crate::tealight::Arena::new();
        let mut board = $board;
        // SAFETY: this is the only place that names it, and it is run once.
        let arena = unsafe { &mut *(&raw mut MEMORY) };
        $app(&mut board, &MODEL, arena, $($rest),+)
    }};
}

/// Runs the app that measures interrupts.
#[cfg(all(
    feature = "measure-interrupts",
    not(any(feature = "audio", feature = "balance", feature = "loadable", feature = "text"))
))]
#[doc(hidden)]
#[macro_export]
macro_rules! run_app {
    ($board:expr, $input:expr) => {
        $crate::run_embedded!($crate::app_interrupts, $board, $input)
    };
}

/// Runs the app for one model whose inputs need no conversion.
#[cfg(not(any(
    feature = "audio",
    feature = "balance",
    feature = "loadable",
    feature = "measure-interrupts",
    feature = "text"
)))]
#[doc(hidden)]
#[macro_export]
macro_rules! run_app {
    ($board:expr, $input:expr) => {
        $crate::run_embedded!($crate::app, $board, $input)
    };
}

/// Runs the app that balances a robot.
#[cfg(all(feature = "balance", not(any(feature = "audio", feature = "text"))))]
#[doc(hidden)]
#[macro_export]
macro_rules! run_app {
    ($board:expr, $input:expr) => {{
        static mut SECOND: $crate::balance::gesture::Arena = $crate::balance::gesture::Arena::new();
        // SAFETY: this is the only place that names it, and it is run once.
        let second = unsafe { &mut *(&raw mut SECOND) };
        $crate::run_embedded!($crate::app_balance, $board, second, $input)
    }};
}

/// Runs the app for a language model.
#[cfg(all(feature = "text", not(feature = "audio")))]
#[doc(hidden)]
#[macro_export]
macro_rules! run_app {
    ($board:expr, $input:expr) => {
        $crate::run_embedded!($crate::app_text, $board, $input)
    };
}

/// Runs the app for an audio model.
#[cfg(feature = "audio")]
#[doc(hidden)]
#[macro_export]
macro_rules! run_app {
    ($board:expr, $input:expr) => {{
        // The features of one second, as `models/keyword` takes them.
        static mut SOUND: $crate::Sound<49, 40> = $crate::Sound::new();
        // SAFETY: this is the only place that names it, and it is run once.
        let sound = unsafe { &mut *(&raw mut SOUND) };
        $crate::run_embedded!($crate::app_audio, $board, sound, $input)
    }};
}

/// Runs the app for the model in the slot, whose first contents the image brings along.
#[cfg(all(feature = "model-slot", not(any(feature = "audio", feature = "balance", feature = "text"))))]
#[doc(hidden)]
#[macro_export]
macro_rules! run_app {
    ($board:expr, $input:expr) => {{
        #[used]
        #[unsafe(link_section = ".model_slot")]
        static FIRST: $crate::Slot<[u8; include_bytes!(env!("TEALIGHT_MODEL")).len()]> =
            $crate::Slot(*include_bytes!(env!("TEALIGHT_MODEL")));
        const ARENA: usize = $crate::bytes(env!("TEALIGHT_LOADABLE_MEMORY"));
        static mut MEMORY: $crate::tealight::Arena<ARENA> = $crate::tealight::Arena::new();
        let mut board = $board;
        // SAFETY: this is the only place that names it, and it is run once.
        let arena = unsafe { &mut *(&raw mut MEMORY) };
        $crate::app_slot(&mut board, $crate::slot(), arena.bytes_mut())
    }};
}

/// Runs the app for any model that fits: it is parsed at run time.
#[cfg(all(
    feature = "loadable",
    not(any(feature = "audio", feature = "balance", feature = "model-slot", feature = "text"))
))]
#[doc(hidden)]
#[macro_export]
macro_rules! run_app {
    ($board:expr, $input:expr) => {{
        static MODEL: &$crate::Slot<[u8]> = &$crate::Slot(*include_bytes!(env!("TEALIGHT_MODEL")));
        const ARENA: usize = $crate::bytes(env!("TEALIGHT_LOADABLE_MEMORY"));
        static mut MEMORY: $crate::tealight::Arena<ARENA> = $crate::tealight::Arena::new();
        let mut board = $board;
        // SAFETY: this is the only place that names it, and it is run once.
        let arena = unsafe { &mut *(&raw mut MEMORY) };
        $crate::app_loadable(&mut board, &MODEL.0, arena.bytes_mut(), $input)
    }};
}

/// Returns the model slot: the region that the linker's script, which `tealight-board-build` writes, keeps for it.
#[cfg(all(target_os = "none", feature = "model-slot"))]
#[doc(hidden)]
pub fn slot() -> &'static [u8] {
    unsafe extern "C" {
        static _model_slot: u8;
        static _model_slot_end: u8;
    }
    let (start, end) = (&raw const _model_slot, &raw const _model_slot_end);
    // SAFETY: the symbols are the bounds of a region of flash, which nothing writes while the firmware runs.
    unsafe { core::slice::from_raw_parts(start, end.addr().saturating_sub(start.addr())) }
}

/// A model file in the image, aligned like a flash slot.
#[doc(hidden)]
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Slot<T: ?Sized>(pub T);

/// Parses a number of bytes that the build script wrote.
///
/// # Panics
/// At compile time, if it is not a number.
#[doc(hidden)]
pub const fn bytes(decimal: &str) -> usize {
    match usize::from_str_radix(decimal, 10) {
        Ok(bytes) => bytes,
        Err(_) => panic!("the build script writes a number"),
    }
}
