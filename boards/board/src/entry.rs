//! The entry of a board's image: the one place where a board, a model and an app come together.

/// Makes the image of a board: `tealight_board::firmware!(Machine)` after the definition of the [`Machine`](crate::Machine);
/// `firmware!(wired Machine)` for one whose console is a wire.
#[macro_export]
macro_rules! firmware {
    (wired $machine:ty) => {
        $crate::firmware!(board $crate::Wired::<$machine>::take());
    };
    (board $board:expr) => {
        /// What the start-up code calls, once.
        #[unsafe(export_name = "main")]
        extern "C" fn tealight_main() -> ! {
            $crate::guard_stack();
            $crate::run!($board)
        }
    };
    ($machine:ty) => {
        $crate::firmware!(board $crate::Semihosted::<$machine>::take());
    };
}

/// Runs the app on a board, `tealight_board::run!(board)`, for good. Once in a program.
///
/// The features of the board's crate choose the app: `audio`, `text`, `loadable`, or none of them. `TEALIGHT_MODEL` names
/// the compiled model to embed; `TEALIGHT_INPUT`, if set, a file of inputs to embed (see `tealight-board-build`).
#[macro_export]
macro_rules! run {
    ($board:expr) => {{
        let mut board = $board;

        #[cfg(not(all(feature = "loadable", not(any(feature = "audio", feature = "text")))))]
        $crate::tealight::include_model!(static MODEL = env!("TEALIGHT_MODEL"));

        #[cfg(all(feature = "loadable", not(any(feature = "audio", feature = "text"))))]
        static MODEL: &$crate::Slot<[u8]> = &$crate::Slot(*include_bytes!(env!("TEALIGHT_MODEL")));

        #[cfg(embedded_input)]
        static INPUT: Option<&[u8]> = Some(include_bytes!(env!("TEALIGHT_INPUT")));
        #[cfg(not(embedded_input))]
        static INPUT: Option<&[u8]> = None;

        #[cfg(not(all(feature = "loadable", not(any(feature = "audio", feature = "text")))))]
        const ARENA: usize = MODEL.arena_len();
        #[cfg(all(feature = "loadable", not(any(feature = "audio", feature = "text"))))]
        const ARENA: usize = $crate::bytes(env!("TEALIGHT_LOADABLE_MEMORY"));

        static mut MEMORY: $crate::tealight::Arena<ARENA> = $crate::tealight::Arena::new();
        // SAFETY: this is the only place that names it, and it is run once.
        let arena = unsafe { &mut *(&raw mut MEMORY) };

        #[cfg(not(any(feature = "audio", feature = "loadable", feature = "text")))]
        $crate::app(&mut board, &MODEL, arena, INPUT);

        #[cfg(all(feature = "loadable", not(any(feature = "audio", feature = "text"))))]
        $crate::app_loadable(&mut board, &MODEL.0, arena.bytes_mut(), INPUT);

        #[cfg(all(feature = "text", not(feature = "audio")))]
        $crate::app_text(&mut board, &MODEL, arena, INPUT);

        #[cfg(feature = "audio")]
        {
            // A second of features as `models/keyword` takes them.
            static mut SOUND: $crate::Sound<49, 40> = $crate::Sound::new();
            // SAFETY: this is the only place that names it, and it is run once.
            let sound = unsafe { &mut *(&raw mut SOUND) };
            $crate::app_audio(&mut board, &MODEL, arena, sound, INPUT);
        }
    }};
}

/// A model's file in the image, aligned as a flash slot is.
#[doc(hidden)]
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Slot<T: ?Sized>(pub T);

/// A number of bytes that the build script wrote.
///
/// # Panics
/// At compile time, if it is no number.
#[doc(hidden)]
pub const fn bytes(decimal: &str) -> usize {
    match usize::from_str_radix(decimal, 10) {
        Ok(bytes) => bytes,
        Err(_) => panic!("the build script writes a number"),
    }
}
