//! The app and the world apart, with a wire between them: the app on a board, the world on a host.
//!
//! [`control`] runs the app. Its devices are those of a [`Remote`], which sends a request for each use of a device and
//! waits for the answer. [`serve`] runs the world and answers. Time passes in the world alone, by the same calls in the
//! same order as without a wire, so the trajectory has the same bits.
//!
//! Requests and answers are records: a kind, the length of the contents, the contents, and the lower 32 bits of the
//! [digest](Digest) of all these, so that a damaged record is refused. Numbers are little-endian. After an error neither
//! side goes on: a device refuses, and [`serve`] returns.

use crate::app::Period;
use crate::devices::{DeviceError, Hardware, with};
use crate::digest::Digest;
use crate::estimate::Estimate;
use crate::gesture::{CLASSES, Slice};
use crate::run::{Next, Summary, drive, start};
use crate::scenario::{Scenario, ScenarioError, networks};
use crate::world::World;
use core::cell::RefCell;
use core::fmt;
use embedded_hal::i2c::Operation;
use tealight::{Ops, Session};

/// The version of the records; both sides must have the same.
pub const VERSION: u8 = 1;

/// The maximum number of bytes of a record's contents.
pub const CONTENTS: usize = 64;

/// Bytes before the contents: kind and length.
const HEAD: usize = 2;

/// Bytes after the contents.
const CHECK: usize = 4;

/// The kinds of records.
mod kind {
    /// The first request, with the version. The answer: the second network's budget, u64.
    pub(super) const HELLO: u8 = 1;
    /// A transaction on the I2C bus: the address, then of each operation [`READ`](super::READ) or
    /// [`WRITE`](super::WRITE), the number of bytes, and those that are written. The answer: the bytes that were read.
    pub(super) const BUS: u8 = 2;
    /// The motors' duty, u16.
    pub(super) const DUTY: u8 = 3;
    /// The motors' direction: 1 is forward.
    pub(super) const DIRECTION: u8 = 4;
    /// The level of the pin that shows the period: 1 is high.
    pub(super) const PIN: u8 = 5;
    /// The encoder. The answer: its count, u16.
    pub(super) const WHEEL: u8 = 6;
    /// Microseconds to wait, u32.
    pub(super) const DELAY: u8 = 7;
    /// The cost of a computation, u64.
    pub(super) const COMPUTED: u8 = 8;
    /// The app has started. The answer, when the first period begins: 1; or 0 if there is none.
    pub(super) const STARTED: u8 = 9;
    /// The work of a period is done: the estimate (three f32), the torque (f32), the slice's cost (u64), and the scores if
    /// there are any. The answer as for [`STARTED`], when the next period begins.
    pub(super) const PERIOD: u8 = 10;
    /// The answer to all requests that were carried out.
    pub(super) const DONE: u8 = 128;
    /// The answer to a transaction with an address that no device has.
    pub(super) const NO_DEVICE: u8 = 129;
}

/// An operation that writes.
const WRITE: u8 = 0;
/// An operation that reads.
const READ: u8 = 1;

/// One side's end of a wire.
pub trait Link {
    /// Sends bytes; returns whether all were sent.
    fn send(&mut self, bytes: &[u8]) -> bool;

    /// Waits until `bytes` is full; returns false if the other side ends before.
    fn receive(&mut self, bytes: &mut [u8]) -> bool;
}

/// The reason why one side does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The other side has ended, at the start of a record or within one.
    Ended,
    /// A record's contents would be longer than [`CONTENTS`].
    TooLong,
    /// A record's check is not that of its bytes.
    Damaged,
    /// There is no record of this kind, or not here, or not with contents of this length.
    Unexpected {
        /// The kind.
        kind: u8,
        /// The number of bytes of its contents.
        length: u8,
    },
    /// The app's side has another version of the records.
    Version {
        /// The version.
        found: u8,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the other side of the wire has ended before the run was over"),
            Self::TooLong => write!(f, "a record on the wire is longer than {CONTENTS} bytes"),
            Self::Damaged => f.write_str("a record was damaged on the wire: its check is another"),
            Self::Unexpected { kind, length } => {
                write!(f, "a record of kind {kind} with {length} bytes has no place here on the wire")
            }
            Self::Version { found } => write!(
                f,
                "the firmware has version {found} of the wire's records, and this side {VERSION}: build both from one source"
            ),
        }
    }
}

impl core::error::Error for WireError {}

/// A record.
#[derive(Clone, Copy, Debug)]
struct Record {
    kind: u8,
    length: usize,
    contents: [u8; CONTENTS],
}

impl Record {
    const fn new(kind: u8) -> Self {
        Self { kind, length: 0, contents: [0; CONTENTS] }
    }

    /// A record with these contents.
    fn with(kind: u8, bytes: &[u8]) -> Result<Self, WireError> {
        let mut record = Self::new(kind);
        record.add(bytes)?;
        Ok(record)
    }

    /// Adds to the contents.
    fn add(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let end = self.length + bytes.len();
        let room = self.contents.get_mut(self.length..end).ok_or(WireError::TooLong)?;
        room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.length = end;
        Ok(())
    }

    fn contents(&self) -> &[u8] {
        self.contents.get(..self.length).unwrap_or_default()
    }

    /// Returns the contents if they have exactly this length.
    fn exactly<const N: usize>(&self) -> Result<[u8; N], WireError> {
        <[u8; N]>::try_from(self.contents()).map_err(|_| self.unexpected())
    }

    const fn unexpected(&self) -> WireError {
        WireError::Unexpected { kind: self.kind, length: self.length as u8 }
    }

    fn check(&self) -> [u8; CHECK] {
        let mut digest = Digest::default();
        digest.add_bytes(&[self.kind, self.length as u8]);
        digest.add_bytes(self.contents());
        (digest.value() as u32).to_le_bytes()
    }

    /// Sends it, in one call.
    fn send(&self, link: &mut impl Link) -> Result<(), WireError> {
        let mut bytes = [0; HEAD + CONTENTS + CHECK];
        let all = [self.kind, self.length as u8].into_iter().chain(self.contents().iter().copied()).chain(self.check());
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        let bytes = bytes.get(..HEAD + self.length + CHECK).unwrap_or_default();
        if link.send(bytes) { Ok(()) } else { Err(WireError::Ended) }
    }

    /// Waits for one.
    fn receive(link: &mut impl Link) -> Result<Self, WireError> {
        let mut receive = |bytes: &mut [u8]| if link.receive(bytes) { Ok(()) } else { Err(WireError::Ended) };
        let mut head = [0; HEAD];
        receive(&mut head)?;
        let [kind, length] = head;
        let mut record = Self { length: usize::from(length), ..Self::new(kind) };
        receive(record.contents.get_mut(..record.length).ok_or(WireError::TooLong)?)?;
        let mut check = [0; CHECK];
        receive(&mut check)?;
        if check == record.check() { Ok(record) } else { Err(WireError::Damaged) }
    }
}

/// The hardware of the app's side: the devices of a world at the other end of a wire.
#[derive(Debug)]
pub struct Remote<L> {
    link: L,
    /// The reason why it refuses everything.
    broken: Option<WireError>,
}

impl<L: Link> Remote<L> {
    /// Creates it.
    pub const fn new(link: L) -> Self {
        Self { link, broken: None }
    }

    /// Sends what `request` returns, and returns what `read` makes of the answer.
    fn ask<T>(
        &mut self,
        request: Result<Record, WireError>,
        read: impl FnOnce(&Record) -> Result<T, WireError>,
    ) -> Result<T, DeviceError> {
        if self.broken.is_some() {
            return Err(DeviceError::Wire);
        }
        let answer = request.and_then(|request| {
            request.send(&mut self.link)?;
            Record::receive(&mut self.link)
        });
        answer.and_then(|answer| read(&answer)).map_err(|error| {
            self.broken = Some(error);
            DeviceError::Wire
        })
    }

    /// Sends a request whose answer has `N` bytes.
    fn request<const N: usize>(&mut self, kind: u8, contents: &[u8]) -> Result<[u8; N], DeviceError> {
        self.ask(Record::with(kind, contents), |answer| match answer.kind {
            kind::DONE => answer.exactly(),
            _ => Err(answer.unexpected()),
        })
    }

    /// Returns the second network's budget.
    fn hello(&mut self) -> Result<u64, DeviceError> {
        self.request(kind::HELLO, &[VERSION]).map(u64::from_le_bytes)
    }

    /// Waits for the next period after `last`, or for the first one; returns false at the end.
    fn next(&mut self, last: Option<&Period>) -> Result<bool, DeviceError> {
        let request = last.map_or(Ok(Record::new(kind::STARTED)), to_record);
        self.ask(request, |answer| match (answer.kind, answer.contents()) {
            (kind::DONE, [1]) => Ok(true),
            (kind::DONE, [0]) => Ok(false),
            _ => Err(answer.unexpected()),
        })
    }
}

/// A period as a request.
fn to_record(period: &Period) -> Result<Record, WireError> {
    let Period { estimate: Estimate { angle, rate, speed }, torque, slice } = period;
    let mut record = Record::new(kind::PERIOD);
    for number in [angle, rate, speed, torque] {
        record.add(&number.to_le_bytes())?;
    }
    record.add(&slice.cost.to_le_bytes())?;
    for score in slice.scores.iter().flatten() {
        record.add(&score.to_le_bytes())?;
    }
    Ok(record)
}

/// Reads what [`to_record`] returned.
fn from_record(record: &Record) -> Result<Period, WireError> {
    let parts = || {
        let (angle, rest) = record.contents().split_first_chunk()?;
        let (rate, rest) = rest.split_first_chunk()?;
        let (speed, rest) = rest.split_first_chunk()?;
        let (torque, rest) = rest.split_first_chunk()?;
        let (cost, rest) = rest.split_first_chunk()?;
        let scores = match rest {
            [] => None,
            scores => Some(<[u8; CLASSES]>::try_from(scores).ok()?.map(u8::cast_signed)),
        };
        let [angle, rate, speed] = [angle, rate, speed].map(|bytes| f32::from_le_bytes(*bytes));
        Some(Period {
            estimate: Estimate { angle, rate, speed },
            torque: f32::from_le_bytes(*torque),
            slice: Slice { cost: u64::from_le_bytes(*cost), scores },
        })
    };
    parts().ok_or(record.unexpected())
}

/// A transaction as a request.
fn transaction(address: u8, operations: &[Operation<'_>]) -> Result<Record, WireError> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).map_err(|_| WireError::TooLong);
    let mut request = Record::with(kind::BUS, &[address])?;
    for operation in operations {
        match operation {
            Operation::Write(bytes) => {
                request.add(&[WRITE, length(bytes)?])?;
                request.add(bytes)?;
            }
            Operation::Read(bytes) => request.add(&[READ, length(bytes)?])?,
        }
    }
    Ok(request)
}

impl<L: Link> Hardware for Remote<L> {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), DeviceError> {
        let request = transaction(address, operations);
        self.ask(request, |answer| match (answer.kind, answer.length) {
            (kind::DONE, _) => {
                let mut rest = answer.contents();
                for operation in operations {
                    let Operation::Read(bytes) = operation else { continue };
                    let (these, after) = rest.split_at_checked(bytes.len()).ok_or(answer.unexpected())?;
                    bytes.iter_mut().zip(these).for_each(|(to, from)| *to = *from);
                    rest = after;
                }
                if rest.is_empty() { Ok(Ok(())) } else { Err(answer.unexpected()) }
            }
            (kind::NO_DEVICE, 0) => Ok(Err(DeviceError::NoDevice { address })),
            _ => Err(answer.unexpected()),
        })?
    }

    fn duty(&mut self, steps: u16) -> Result<(), DeviceError> {
        self.request::<0>(kind::DUTY, &steps.to_le_bytes()).map(drop)
    }

    fn direction(&mut self, forward: bool) -> Result<(), DeviceError> {
        self.request::<0>(kind::DIRECTION, &[u8::from(forward)]).map(drop)
    }

    fn show(&mut self, high: bool) -> Result<(), DeviceError> {
        self.request::<0>(kind::PIN, &[u8::from(high)]).map(drop)
    }

    fn wheel(&mut self) -> Result<u16, DeviceError> {
        self.request(kind::WHEEL, &[]).map(u16::from_le_bytes)
    }

    fn delay(&mut self, micros: u32) -> Result<(), DeviceError> {
        self.request::<0>(kind::DELAY, &micros.to_le_bytes()).map(drop)
    }

    fn computed(&mut self, cost: u64) -> Result<(), DeviceError> {
        self.request::<0>(kind::COMPUTED, &cost.to_le_bytes()).map(drop)
    }
}

/// Runs the app with the networks `balance` and `gesture`, on the devices of the world at the other end of the wire, for as
/// long as that runs. Returns the number of periods.
///
/// # Errors
/// [`ScenarioError`] if a network is another one, a device refuses, or the wire is broken.
pub fn control<O: Ops, S: Ops>(
    link: impl Link,
    policy: Session<'_, O>,
    second: Session<'_, S>,
) -> Result<u32, ScenarioError> {
    let world = RefCell::new(Remote::new(link));
    let periods = controlled(&world, policy, second);
    match world.into_inner().broken {
        // A device refuses because the wire is broken; a delay or the encoder cannot tell.
        Some(error) => Err(ScenarioError::Wire(error)),
        None => periods,
    }
}

fn controlled<L: Link, O: Ops, S: Ops>(
    world: &RefCell<Remote<L>>,
    policy: Session<'_, O>,
    second: Session<'_, S>,
) -> Result<u32, ScenarioError> {
    let budget = with(world, Remote::hello).map_err(ScenarioError::Device)?;
    let (mut policy, mut second) = networks(policy, second, budget)?;
    let mut app = start(world).map_err(ScenarioError::App)?;
    let (mut periods, mut last) = (0, None);
    while with(world, |world| world.next(last.as_ref())).map_err(ScenarioError::Device)? {
        let computed = |cost| {
            // The next use of a device tells if the wire is broken.
            let _ = with(world, |world| world.computed(cost));
        };
        last = Some(app.period(&mut policy, Some(&mut second), computed).map_err(ScenarioError::App)?);
        periods += 1;
    }
    Ok(periods)
}

/// Runs the world of a scenario for the app at the other end of the wire, and returns what became of it.
///
/// # Errors
/// [`WireError`]: what came over the wire is not what [`control`] sends, or the other side ended before.
pub fn serve(scenario: &Scenario, link: &mut impl Link) -> Result<Summary, WireError> {
    let setup = scenario.setup();
    let world = RefCell::new(World::new(setup.seed, setup.angle, setup.pushes));
    let hello = Record::receive(link)?;
    match (hello.kind, hello.contents()) {
        (kind::HELLO, [VERSION]) => Record::with(kind::DONE, &scenario.budget.to_le_bytes())?.send(link)?,
        (kind::HELLO, [found]) => return Err(WireError::Version { found: *found }),
        _ => return Err(hello.unexpected()),
    }
    until(kind::STARTED, &world, link)?.exactly::<0>()?;
    let period = || {
        Record::with(kind::DONE, &[1])?.send(link)?;
        from_record(&until(kind::PERIOD, &world, link)?)
    };
    let summary = drive(&world, setup.periods, period, |_, _| Next::Go)?;
    Record::with(kind::DONE, &[0])?.send(link)?;
    Ok(summary)
}

/// Answers requests up to the first of this kind, which it returns.
fn until(kind: u8, world: &RefCell<World<'_>>, link: &mut impl Link) -> Result<Record, WireError> {
    loop {
        let request = Record::receive(link)?;
        if request.kind == kind {
            return Ok(request);
        }
        // Nothing else uses the world while it is served.
        let mut world = world.try_borrow_mut().map_err(|_| request.unexpected())?;
        answer(&mut *world, &request)?.send(link)?;
    }
}

/// Carries out a request, and returns the answer.
fn answer(world: &mut impl Hardware, request: &Record) -> Result<Record, WireError> {
    let level = || match request.contents() {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(request.unexpected()),
    };
    let done = match request.kind {
        kind::BUS => return transferred(world, request),
        kind::DUTY => world.duty(u16::from_le_bytes(request.exactly()?)),
        kind::DIRECTION => world.direction(level()?),
        kind::PIN => world.show(level()?),
        kind::WHEEL => {
            request.exactly::<0>()?;
            let count = world.wheel().map_err(|_| request.unexpected())?;
            return Record::with(kind::DONE, &count.to_le_bytes());
        }
        kind::DELAY => world.delay(u32::from_le_bytes(request.exactly()?)),
        kind::COMPUTED => world.computed(u64::from_le_bytes(request.exactly()?)),
        _ => return Err(request.unexpected()),
    };
    // A world refuses nothing but transactions.
    done.map(|()| Record::new(kind::DONE)).map_err(|_| request.unexpected())
}

/// Carries out a transaction, one operation after another.
fn transferred(world: &mut impl Hardware, request: &Record) -> Result<Record, WireError> {
    let (address, mut rest) = request.contents().split_first().ok_or(request.unexpected())?;
    let mut answer = Record::new(kind::DONE);
    while let [operation, length, after @ ..] = rest {
        let mut read = [0; CONTENTS];
        let read = read.get_mut(..usize::from(*length)).ok_or(request.unexpected())?;
        let done = match *operation {
            WRITE => {
                let (bytes, after) = after.split_at_checked(read.len()).ok_or(request.unexpected())?;
                rest = after;
                world.transaction(*address, &mut [Operation::Write(bytes)])
            }
            READ => {
                rest = after;
                let done = world.transaction(*address, &mut [Operation::Read(&mut *read)]);
                answer.add(read)?;
                done
            }
            _ => return Err(request.unexpected()),
        };
        match done {
            Ok(()) => {}
            Err(DeviceError::NoDevice { .. }) => return Ok(Record::new(kind::NO_DEVICE)),
            Err(_) => return Err(request.unexpected()),
        }
    }
    if rest.is_empty() { Ok(answer) } else { Err(request.unexpected()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imu::{ADDRESS, register};
    use crate::push::Push;
    use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
    use std::vec::Vec;

    tealight::include_model!(mod policy = "../../../models/balance/balance.safetensors");
    tealight::include_model!(mod second = "../../../models/gesture/gesture.safetensors");

    /// An end of a wire of two pipes.
    struct Pipes {
        from: PipeReader,
        to: PipeWriter,
    }

    impl Link for Pipes {
        fn send(&mut self, bytes: &[u8]) -> bool {
            self.to.write_all(bytes).is_ok()
        }

        fn receive(&mut self, bytes: &mut [u8]) -> bool {
            self.from.read_exact(bytes).is_ok()
        }
    }

    fn wire() -> (Pipes, Pipes) {
        let ((from_host, to_board), (from_board, to_host)) = (pipe().unwrap(), pipe().unwrap());
        (Pipes { from: from_host, to: to_host }, Pipes { from: from_board, to: to_board })
    }

    /// A board that hears what is in memory, and sends into nothing.
    struct Recorded(Vec<u8>);

    impl Link for Recorded {
        fn send(&mut self, _: &[u8]) -> bool {
            true
        }

        fn receive(&mut self, bytes: &mut [u8]) -> bool {
            let mut source = &self.0[..];
            let filled = source.read_exact(bytes).is_ok();
            self.0 = source.to_vec();
            filled
        }
    }

    /// The bytes of records.
    fn bytes(records: &[(u8, &[u8])]) -> Vec<u8> {
        struct Sent(Vec<u8>);
        impl Link for Sent {
            fn send(&mut self, bytes: &[u8]) -> bool {
                self.0.extend(bytes);
                true
            }

            fn receive(&mut self, _: &mut [u8]) -> bool {
                false
            }
        }
        let mut sent = Sent(Vec::new());
        for (kind, contents) in records {
            Record::with(*kind, contents).unwrap().send(&mut sent).unwrap();
        }
        sent.0
    }

    /// Runs the app at an end of a wire.
    fn board(link: impl Link) -> Result<u32, ScenarioError> {
        let (mut small, mut large) = (policy::Arena::new(), second::Arena::new());
        control(link, Session::new(&policy::MODEL, &mut small), Session::new(&second::MODEL, &mut large))
    }

    fn scenario(periods: u32) -> Scenario {
        Scenario::new(3, periods, 20_000, &[Push { at_ms: 1_000, newtons: 6.0, ms: 100 }]).unwrap()
    }

    /// Serves what is recorded.
    fn served(requests: Vec<u8>) -> Result<Summary, WireError> {
        serve(&scenario(2), &mut Recorded(requests))
    }

    const HELLO: (u8, &[u8]) = (kind::HELLO, &[VERSION]);

    #[test]
    fn a_run_over_a_wire_is_the_one_without() {
        // The second network answers, too.
        let scenario = scenario(700);
        let (mut small, mut large) = (policy::Arena::new(), second::Arena::new());
        let sessions = (Session::new(&policy::MODEL, &mut small), Session::new(&second::MODEL, &mut large));
        let whole = scenario.run(sessions.0, sessions.1, |_| {}).unwrap();
        assert!(whole.inferences > 0);
        let (board_end, mut host_end) = wire();
        let (periods, apart) = std::thread::scope(|scope| {
            let running = scope.spawn(|| board(board_end));
            let apart = serve(&scenario, &mut host_end);
            drop(host_end);
            (running.join().unwrap(), apart)
        });
        assert_eq!((periods, apart), (Ok(700), Ok(whole)));
    }

    #[test]
    fn each_side_ends_when_the_other_does() {
        for after in [0, 1, 50, 400] {
            let (board_end, mut host_end) = wire();
            let ended = std::thread::scope(|scope| {
                let running = scope.spawn(|| board(board_end));
                // A host that gives up after some requests.
                for _ in 0..after {
                    let request = Record::receive(&mut host_end).unwrap();
                    let contents: &[u8] = match (request.kind, request.contents()) {
                        (kind::HELLO, _) => &[0; 8],
                        (kind::BUS, [.., READ, length]) => &[0xD1; CONTENTS][..usize::from(*length)],
                        (kind::WHEEL, _) => &[0; 2],
                        (kind::STARTED | kind::PERIOD, _) => &[1],
                        _ => &[],
                    };
                    Record::with(kind::DONE, contents).unwrap().send(&mut host_end).unwrap();
                }
                drop(host_end);
                running.join().unwrap()
            });
            assert_eq!(ended, Err(ScenarioError::Wire(WireError::Ended)), "after {after} answers");
        }
        // A board that ends between two records, and within one.
        let mut requests = bytes(&[HELLO, (kind::PIN, &[1])]);
        assert_eq!(served(requests.clone()), Err(WireError::Ended));
        requests.pop();
        assert_eq!(served(requests), Err(WireError::Ended));
    }

    #[test]
    fn a_damaged_record_is_refused_wherever_the_damage_is() {
        let good = bytes(&[(kind::HELLO, &[VERSION])]);
        for index in 0..good.len() {
            for bit in 0..8 {
                let mut damaged = good.clone();
                damaged[index] ^= 1 << bit;
                let error = served(damaged).unwrap_err();
                // A longer record than was sent does not end.
                let refused = matches!(error, WireError::Damaged | WireError::TooLong)
                    || (index == 1 && error == WireError::Ended);
                assert!(refused, "bit {bit} of byte {index}: {error:?}");
            }
        }
        let mut answer = bytes(&[(kind::DONE, &20_000_u64.to_le_bytes())]);
        answer[4] ^= 1;
        assert_eq!(board(Recorded(answer)), Err(ScenarioError::Wire(WireError::Damaged)));
    }

    #[test]
    fn records_that_have_no_place_are_refused() {
        let unexpected = |kind, length| Err(WireError::Unexpected { kind, length });
        let after_hello = |kind, contents: &[u8]| served(bytes(&[HELLO, (kind, contents)]));
        assert_eq!(served(bytes(&[(kind::PIN, &[1])])), unexpected(kind::PIN, 1));
        assert_eq!(served(bytes(&[(kind::HELLO, &[9])])), Err(WireError::Version { found: 9 }));
        assert_eq!(after_hello(99, &[1, 2, 3]), unexpected(99, 3));
        assert_eq!(after_hello(kind::PIN, &[2]), unexpected(kind::PIN, 1));
        for (kind, right) in
            [(kind::DUTY, 2), (kind::WHEEL, 0), (kind::DELAY, 4), (kind::COMPUTED, 8), (kind::STARTED, 0)]
        {
            let wrong = [0; CONTENTS];
            assert_eq!(after_hello(kind, &wrong[..right + 1]), unexpected(kind, right as u8 + 1));
        }
        // Transactions: no address, half an operation, one that is neither, more bytes than there are.
        for contents in [&[][..], &[ADDRESS, READ], &[ADDRESS, 7, 1], &[ADDRESS, WRITE, 3, 1, 2], &[ADDRESS, READ, 255]]
        {
            assert_eq!(after_hello(kind::BUS, contents), unexpected(kind::BUS, contents.len() as u8), "{contents:?}");
        }
        // A period before the app has started, and one with too few scores.
        assert_eq!(after_hello(kind::PERIOD, &[0; 24]), unexpected(kind::PERIOD, 24));
        let periods = bytes(&[HELLO, (kind::STARTED, &[]), (kind::PERIOD, &[0; 30])]);
        assert_eq!(served(periods), unexpected(kind::PERIOD, 30));
        // Answers: of another length, and of another kind.
        for (kind, contents) in [(kind::DONE, &[0; 7][..]), (kind::NO_DEVICE, &[0; 8][..])] {
            let error = WireError::Unexpected { kind, length: contents.len() as u8 };
            assert_eq!(board(Recorded(bytes(&[(kind, contents)]))), Err(ScenarioError::Wire(error)));
        }
    }

    #[test]
    fn a_transaction_over_the_wire_is_that_of_the_world() {
        let (board_end, mut host_end) = wire();
        let mut remote = Remote::new(board_end);
        let mut world = World::new(1, 0.0, &[]);
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| {
                while let Ok(request) = Record::receive(&mut host_end) {
                    answer(&mut world, &request).unwrap().send(&mut host_end).unwrap();
                }
            });
            let mut read = [0; 2];
            remote.transaction(ADDRESS, &mut [Operation::Write(&[register::ACC_RANGE, 0x05])]).unwrap();
            let both = &mut [Operation::Write(&[register::ACC_CONF]), Operation::Read(&mut read)];
            remote.transaction(ADDRESS, both).unwrap();
            assert_eq!(read, [0x28, 0x05]);
            let nobody = remote.transaction(0x10, &mut [Operation::Read(&mut read)]);
            assert_eq!(nobody, Err(DeviceError::NoDevice { address: 0x10 }));
            // What the wire cannot carry breaks it.
            let long = remote.transaction(ADDRESS, &mut [Operation::Write(&[0; CONTENTS])]);
            assert_eq!((long, remote.broken), (Err(DeviceError::Wire), Some(WireError::TooLong)));
            assert_eq!(remote.show(true), Err(DeviceError::Wire));
            drop(remote);
            serving.join().unwrap();
        });
        // Three, two, three bytes and one of nine bits, as without the wire.
        assert_eq!(world.now(), 67 + 45 + 67 + 22);
    }

    #[test]
    fn the_check_is_the_digest_of_all_before_it() {
        let mut digest = Digest::default();
        digest.add_bytes(&[kind::DUTY, 2, 0x34, 0x12]);
        let [a, b, c, d] = (digest.value() as u32).to_le_bytes();
        assert_eq!(bytes(&[(kind::DUTY, &0x1234_u16.to_le_bytes())]), [kind::DUTY, 2, 0x34, 0x12, a, b, c, d]);
    }
}
