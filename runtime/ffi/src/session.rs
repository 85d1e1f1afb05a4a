//! Sessions in memory of the caller.
//!
//! A session begins with a guard, a word that tells whether the rest holds a checked model. The guard is made of the
//! session's address, so that neither zeros nor a copy of an open session pass for one. It is read and written through the
//! pointer alone, apart from the rest, so that an interrupt that comes in the middle of a call finds it and is refused.

use crate::error::TealightError;
use crate::linked::{BuiltIn, Linked, built_in};
use crate::model::check;
use crate::pointer::{Region, Target, status};
use crate::status::TealightStatus;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, compiler_fence};
use tealight::{Kernels, Limit, Model, Position, Session, Value};

/// What model and arena must be aligned to, in bytes.
pub const TEALIGHT_ALIGNMENT: usize = 16;

/// The size of a TealightSession in bytes.
pub const TEALIGHT_SESSION_SIZE: usize = 192;

/// What memory for a TealightSession must be aligned to, in bytes. The compiler aligns one that is declared.
pub const TEALIGHT_SESSION_ALIGNMENT: usize = 8;

/// A model with the arena that it runs in. Its content belongs to the library.
///
/// It must not be used before it has been opened. Memory that holds anything but an open session, zeros for example, is
/// refused with TEALIGHT_STATUS_NOT_OPEN. An open session must not be moved: a copy of it is not open.
#[derive(Debug)]
#[repr(C)]
pub struct TealightSession {
    /// For the library alone.
    opaque: [u64; 24],
}

const _: () = assert!(size_of::<TealightSession>() == TEALIGHT_SESSION_SIZE);
const _: () = assert!(TEALIGHT_SESSION_ALIGNMENT.is_multiple_of(align_of::<TealightSession>()));
const _: () = assert!(size_of::<State>() <= TEALIGHT_SESSION_SIZE);
const _: () = assert!(align_of::<State>() <= align_of::<TealightSession>());

impl TealightSession {
    /// A session that is not open.
    pub const CLOSED: Self = Self { opaque: [0; 24] };
}

/// What a session holds.
#[repr(C)]
struct State {
    guard: u32,
    body: Body,
}

/// What an open session holds besides its guard.
pub(crate) struct Body {
    pub(crate) model: Model<'static>,
    arena: Region,
    position: Position,
}

/// The guard of an open session, before its address is mixed in. An address is a multiple of 4, so this is never 0.
const OPEN: u32 = 0x7EA1_1607;

/// The guard while a function works on the session.
const BUSY: u32 = 0x7EA1_B051;

/// A session of the caller, which may be open.
#[derive(Clone, Copy)]
struct Place(NonNull<State>);

impl Place {
    fn new(session: *mut TealightSession) -> Result<Self, TealightStatus> {
        let state = NonNull::new(session.cast::<State>()).ok_or(TealightStatus::NullPointer)?;
        if state.is_aligned() && session.is_aligned() {
            Ok(Self(state))
        } else {
            Err(TealightStatus::MisalignedSession)
        }
    }

    /// The guard of this address in the state `kind`.
    fn guard_of(self, kind: u32) -> u32 {
        kind ^ self.0.addr().get() as u32
    }

    /// # Safety
    /// The session's memory must be readable.
    unsafe fn guard(self) -> u32 {
        // SAFETY: the place is aligned, and the memory is readable, as the caller promises. Any bytes are a guard.
        unsafe { (&raw const (*self.0.as_ptr()).guard).read_volatile() }
    }

    /// Sets the guard after all writes before, and before all reads after.
    ///
    /// # Safety
    /// The session's memory must be writable.
    unsafe fn set_guard(self, guard: u32) {
        compiler_fence(Ordering::SeqCst);
        // SAFETY: the place is aligned, and the memory is writable, as the caller promises.
        unsafe { (&raw mut (*self.0.as_ptr()).guard).write_volatile(guard) }
        compiler_fence(Ordering::SeqCst);
    }

    /// Whether the session is open and no function works on it.
    ///
    /// # Safety
    /// The session's memory must be readable.
    unsafe fn check_open(self) -> Result<(), TealightStatus> {
        // SAFETY: the caller's promise.
        match unsafe { self.guard() } {
            guard if guard == self.guard_of(OPEN) => Ok(()),
            guard if guard == self.guard_of(BUSY) => Err(TealightStatus::Busy),
            _ => Err(TealightStatus::NotOpen),
        }
    }
}

/// Calls `work` with what the open session holds, and marks it as busy meanwhile.
///
/// # Safety
/// `session` is null, or points to readable and writable memory; if it holds an open session, that session's model and arena
/// are still there, and no other thread uses it.
pub(crate) unsafe fn with_open<T>(
    session: *mut TealightSession,
    work: impl FnOnce(&mut Body) -> Result<T, TealightStatus>,
) -> Result<T, TealightStatus> {
    let place = Place::new(session)?;
    // SAFETY: the caller's promise.
    unsafe { place.check_open()? };
    // SAFETY: as above.
    unsafe { place.set_guard(place.guard_of(BUSY)) };
    // SAFETY: the guard was that of an open session, so `open` has written the body. While the guard is that of a busy
    // session, no other call comes here, and the guard lies outside of the body.
    let body = unsafe { &mut (*place.0.as_ptr()).body };
    let result = work(body);
    // SAFETY: as above.
    unsafe { place.set_guard(place.guard_of(OPEN)) };
    result
}

impl Body {
    /// Calls `work` with a session that continues at the position where the last one ended.
    pub(crate) fn with_session<T>(&mut self, work: impl FnOnce(&mut Session<'_, Linked>) -> T) -> T {
        // SAFETY: the caller of `tealight_open` has promised that only the library uses the arena until the session is
        // closed, but for the tensors that it is given the addresses of, and not during a call.
        let arena = unsafe { self.arena.bytes_mut() };
        let mut session = Session::resume(self.model, arena, self.position, Kernels);
        let result = work(&mut session);
        self.position = session.position();
        result
    }

    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    /// The address of a value in the arena.
    pub(crate) fn address(&self, value: &Value) -> *mut u8 {
        self.arena.start.as_ptr().wrapping_add(value.offset as usize)
    }
}

/// The work that a model may need at most, in the units of a budget: see tealight_poll. A model that needs more is refused
/// before any of it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TealightLimits {
    /// The maximum cost of one inference; TEALIGHT_UNLIMITED for any.
    pub cost: u64,
    /// The maximum cost of the longest row, which is the smallest step that tealight_poll can take; TEALIGHT_UNLIMITED for any.
    pub longest_row: u64,
}

/// Checks a model, and opens a session that runs it in `arena`.
///
/// Everything that running the model relies on is checked here, once, whatever the bytes are. The arena is cleared, and
/// streaming state gets its initial values. The check needs about 5 KiB of stack, and time in proportion to the plan in the
/// file, clearing time in proportion to the arena. A session that is open already is opened anew.
///
/// `session`: memory of TEALIGHT_SESSION_SIZE bytes, whatever it holds. It must stay where it is until it is closed. If a call
/// never returned, because its thread was ended, the caller sets the session's bytes to 0 before it is opened again.
///
/// `model`, `model_length`: the whole model file, aligned to TEALIGHT_ALIGNMENT, in flash or in RAM. It must not change until
/// the session is closed; it is not copied.
///
/// `arena`, `arena_length`: memory aligned to TEALIGHT_ALIGNMENT, at least TealightModel.arena_length bytes of it, for the
/// session alone until it is closed.
///
/// `limits`: the work that is accepted, or null for any.
///
/// `error`: where the reason for a refusal and its place are written, or null. On success its status is TEALIGHT_STATUS_OK.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _BAD_LENGTH, _BUSY, _MISALIGNED_SESSION, _MISALIGNED_MODEL,
/// _MISALIGNED_ARENA, _ARENA_TOO_SMALL, _OVERLAP, _NOT_SAFETENSORS, _NOT_COMPILED, _FORMAT_VERSION, _DAMAGED_MODEL,
/// _MISSING_OPERATOR, _MISSING_TYPE, _MISSING_GROUPS, _MISSING_ROW_INPUT, _COST_TOO_HIGH or _ROW_TOO_LONG. The session is not
/// open then.
///
/// # Safety
/// Pointers are null, or valid for as many bytes as is said; model and arena stay so until the session is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_open(
    session: *mut TealightSession,
    model: *const u8,
    model_length: usize,
    arena: *mut u8,
    arena_length: usize,
    limits: *const TealightLimits,
    error: *mut TealightError,
) -> TealightStatus {
    // SAFETY: the caller's promise.
    let checked = || unsafe { check(Region::new(model, model_length)?) };
    // SAFETY: as above.
    let opened = unsafe { open(session, arena, arena_length, limits, checked, load) };
    // SAFETY: as above.
    unsafe { report(opened, error) }
}

/// Opens a session of the model that is part of the library, as tealight_open does of any model. `cargo xtask ffi --model`
/// builds such a library. The model was checked when the library was built, so a program that opens no other model links no
/// code for checking one.
///
/// Returns TEALIGHT_STATUS_NO_BUILT_IN_MODEL if the library has none, or what tealight_open returns.
///
/// # Safety
/// As for tealight_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_open_built_in(
    session: *mut TealightSession,
    arena: *mut u8,
    arena_length: usize,
    limits: *const TealightLimits,
    error: *mut TealightError,
) -> TealightStatus {
    let own = built_in().ok_or(TealightError::new(TealightStatus::NoBuiltInModel));
    let model = || own.map(|own| *own.model);
    let start = |_: &Model<'static>, arena: &mut [u8], limits: TealightLimits| start(own?, arena, limits);
    // SAFETY: the caller's promise.
    let opened = unsafe { open(session, arena, arena_length, limits, model, start) };
    // SAFETY: as above.
    unsafe { report(opened, error) }
}

/// Opens a session of the model that `checked` returns, in the arena in which `start` starts it.
///
/// # Safety
/// As for `tealight_open`; the model's bytes stay as they are until the session is closed.
unsafe fn open(
    session: *mut TealightSession,
    arena: *mut u8,
    arena_length: usize,
    limits: *const TealightLimits,
    checked: impl FnOnce() -> Result<Model<'static>, TealightError>,
    start: impl FnOnce(&Model<'static>, &mut [u8], TealightLimits) -> Result<(), TealightError>,
) -> Result<(), TealightError> {
    let place = Place::new(session)?;
    // SAFETY: the caller's promise.
    if unsafe { place.check_open() } == Err(TealightStatus::Busy) {
        return Err(TealightStatus::Busy.into());
    }
    // SAFETY: as above.
    unsafe { place.set_guard(0) };
    let arena = Region::new(arena, arena_length)?;
    // SAFETY: as above.
    let limits = unsafe { limits.as_ref() }.copied().unwrap_or(TealightLimits::NONE);
    let model = checked()?;
    let file = Region::new(model.bytes().as_ptr(), model.bytes().len())?;
    let own = Region { start: place.0.cast(), len: TEALIGHT_SESSION_SIZE };
    if arena.overlaps(file) || arena.overlaps(own) || own.overlaps(file) {
        return Err(TealightStatus::Overlap.into());
    }
    // SAFETY: as above; the arena overlaps neither model nor session.
    start(&model, unsafe { arena.bytes_mut() }, limits)?;
    // Bytes that the model does not need are left to the caller.
    let arena = Region { len: model.arena_len(), ..arena };
    // SAFETY: the place is aligned, and its memory writable, as the caller promises.
    unsafe { (&raw mut (*place.0.as_ptr()).body).write(Body { model, arena, position: Position::default() }) };
    // SAFETY: as above.
    unsafe { place.set_guard(place.guard_of(OPEN)) };
    Ok(())
}

impl TealightLimits {
    /// Any model is accepted.
    const NONE: Self = Self { cost: u64::MAX, longest_row: u64::MAX };
}

/// Starts a session of any model in `arena`.
fn load(model: &Model<'static>, arena: &mut [u8], limits: TealightLimits) -> Result<(), TealightError> {
    let limit = Limit::none().cost(limits.cost).longest_row(limits.longest_row);
    match Session::<Linked>::load_within(model, arena, limit) {
        Ok(_) => Ok(()),
        Err(error) => Err(TealightError::of_load(error, model)),
    }
}

/// Starts a session of the library's own model, whose operators are those that are linked. What was known when the library was
/// compiled is not computed again, so that no code for it is linked.
fn start(own: BuiltIn, arena: &mut [u8], limits: TealightLimits) -> Result<(), TealightError> {
    let BuiltIn { model, work } = own;
    let exceeded = |status, allowed: u64, found: u64| Err(TealightError::new(status).with(allowed, found));
    if work.cost > limits.cost {
        return exceeded(TealightStatus::CostTooHigh, limits.cost, work.cost);
    }
    if work.longest_row > limits.longest_row {
        return exceeded(TealightStatus::RowTooLong, limits.longest_row, work.longest_row);
    }
    if !arena.as_ptr().addr().is_multiple_of(TEALIGHT_ALIGNMENT) {
        return Err(TealightStatus::MisalignedArena.into());
    }
    let (needed, given) = (model.arena_len(), arena.len());
    let Some(arena) = arena.get_mut(..needed) else {
        return exceeded(TealightStatus::ArenaTooSmall, needed as u64, given as u64);
    };
    arena.fill(0);
    Session::<Linked>::resume(*model, arena, Position::default(), Kernels).reset();
    Ok(())
}

/// Writes an error, or that there is none, to `error`.
///
/// # Safety
/// The pointer is null or valid for writing.
pub(crate) unsafe fn report(result: Result<(), TealightError>, error: *mut TealightError) -> TealightStatus {
    let outcome = result.err().unwrap_or(TealightError::new(TealightStatus::Ok));
    if let Ok(target) = Target::new(error) {
        // SAFETY: the caller's promise.
        unsafe { target.write(outcome) };
    }
    outcome.status
}

/// Closes a session. Its memory, its arena and its model are the caller's again.
///
/// Returns TEALIGHT_STATUS_OK, or TEALIGHT_STATUS_NULL_POINTER, _MISALIGNED_SESSION, _NOT_OPEN or _BUSY.
///
/// # Safety
/// The pointer is null, or points to TEALIGHT_SESSION_SIZE bytes that are readable and writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tealight_close(session: *mut TealightSession) -> TealightStatus {
    status(Place::new(session).and_then(|place| {
        // SAFETY: the caller's promise.
        unsafe { place.check_open()? };
        // SAFETY: as above.
        unsafe { place.set_guard(0) };
        Ok(())
    }))
}
