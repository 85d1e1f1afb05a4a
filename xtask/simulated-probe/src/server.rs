//! The probe: a server for one host at a time.

use crate::chip::Chip;
use crate::debug_port::{Answer, DebugPort, Transfer};
use crate::fault::Fault;
use crate::glasgow::{Answers, Command, Commands};
use crate::{Target, TargetError};
use rustix::net::sockopt::set_socket_linger;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a connection on which nothing arrives looks whether the probe is to end.
const PERIOD: Duration = Duration::from_millis(20);

/// A simulated probe that runs in a thread of its own, until it is stopped or dropped.
///
/// ```
/// use tealight_simulated_probe::{Chip, Memory, SimulatedProbe, Target};
///
/// let probe = SimulatedProbe::start(Chip::CORTEX_M0, Memory::new(&[(0x2000_0000, 1024)]))?;
/// // What `probe-rs list`'s kin take as `--probe`.
/// assert!(probe.selector().starts_with("20b7:9db1:tcp:127.0.0.1:"));
/// let mut target = probe.stop();
/// target.write(0x2000_0000, &[1])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SimulatedProbe<T> {
    address: Address,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<T>>,
}

/// Where the probe listens.
#[derive(Clone, Debug)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What the probe's thread and its owner share.
#[derive(Debug, Default)]
struct Shared {
    ends: AtomicBool,
    faults: Mutex<Vec<Fault>>,
    packets: AtomicU64,
    transfers: AtomicU64,
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets faults happen while the probe is in use.
#[derive(Clone, Debug)]
pub struct Switch(Arc<Shared>);

impl Switch {
    /// Adds a fault.
    pub fn inject(&self, fault: Fault) {
        self.0.faults().push(fault);
    }

    /// Takes the faults back that have not happened yet.
    pub fn clear(&self) {
        self.0.faults().clear();
    }

    /// Unplugs the probe: at the next packet.
    pub fn unplug(&self) {
        self.inject(Fault::Unplugged { packet: self.packets() });
    }

    /// The packets that have arrived.
    pub fn packets(&self) -> u64 {
        self.0.packets.load(Ordering::SeqCst)
    }

    /// The transfers that were made.
    pub fn transfers(&self) -> u64 {
        self.0.transfers.load(Ordering::SeqCst)
    }
}

impl<T: Target + Send + 'static> SimulatedProbe<T> {
    /// Starts a probe at a free port of this machine's own network. The chip has power, and its core runs.
    ///
    /// # Errors
    /// There is no port, or the target is gone.
    pub fn start(chip: Chip, target: T) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = Address::Tcp(listener.local_addr()?);
        Self::serve(chip, target, Listener::Tcp(listener), address)
    }

    /// Starts a probe at a Unix socket, which must not exist yet.
    ///
    /// # Errors
    /// The socket cannot be made, or the target is gone.
    pub fn start_at(chip: Chip, target: T, socket: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        Self::serve(chip, target, Listener::Unix(listener), Address::Unix(socket.into()))
    }

    fn serve(chip: Chip, target: T, listener: Listener, address: Address) -> io::Result<Self> {
        let mut port = DebugPort::new(chip, target);
        port.power_up().map_err(io::Error::other)?;
        let shared = Arc::new(Shared::default());
        let server = Server { port, divisor: 0, shared: Arc::clone(&shared), silent: false };
        let thread = std::thread::Builder::new().name("simulated probe".into()).spawn(move || server.run(&listener))?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// How probe-rs names the probe: the USB numbers of a Glasgow board, and the address in the place of its serial
    /// number.
    pub fn selector(&self) -> String {
        match &self.address {
            Address::Tcp(address) => format!("20b7:9db1:tcp:{address}"),
            Address::Unix(path) => format!("20b7:9db1:unix:{}", path.display()),
        }
    }

    /// Adds a fault.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        self.shared.faults().push(fault);
        self
    }

    /// A handle for faults and counts.
    pub fn switch(&self) -> Switch {
        Switch(Arc::clone(&self.shared))
    }

    /// Ends the probe, cuts its connection, and returns the target as it is.
    ///
    /// # Panics
    /// The probe's thread panicked.
    pub fn stop(mut self) -> T {
        let target = self.end();
        target.expect("the probe runs until it is stopped")
    }
}

impl<T> SimulatedProbe<T> {
    fn end(&mut self) -> Option<T> {
        let thread = self.thread.take()?;
        self.shared.ends.store(true, Ordering::SeqCst);
        // Wakes a server that waits for a host.
        match &self.address {
            Address::Tcp(address) => drop(TcpStream::connect(address)),
            Address::Unix(path) => drop(UnixStream::connect(path)),
        }
        let target = thread.join();
        if let Address::Unix(path) = &self.address {
            let _ = std::fs::remove_file(path);
        }
        target.ok()
    }
}

impl<T> Drop for SimulatedProbe<T> {
    fn drop(&mut self) {
        drop(self.end());
    }
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection to a host.
trait Connection: Read + Write {
    fn set_limit(&self, limit: Duration) -> io::Result<()>;
    /// Ends it as a plug that is pulled does: the host's next access is an error.
    fn cut(&self);
}

impl Connection for TcpStream {
    fn set_limit(&self, limit: Duration) -> io::Result<()> {
        self.set_nodelay(true)?;
        self.set_read_timeout(Some(limit))
    }

    fn cut(&self) {
        // Without waiting for what was not sent, the end is a reset of the connection.
        let _ = set_socket_linger(self, Some(Duration::ZERO));
    }
}

impl Connection for UnixStream {
    fn set_limit(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }

    fn cut(&self) {}
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The host ended it, or sent what is no packet.
    Closed,
    /// The probe was unplugged.
    Cut,
}

struct Server<T> {
    port: DebugPort<T>,
    divisor: u16,
    shared: Arc<Shared>,
    silent: bool,
}

impl<T: Target> Server<T> {
    fn run(mut self, listener: &Listener) -> T {
        while !self.ends() {
            // A host that is gone before it is served is no reason to end.
            match listener {
                Listener::Tcp(listener) => listener.accept().map(|(mut host, _)| self.attend(&mut host)),
                Listener::Unix(listener) => listener.accept().map(|(mut host, _)| self.attend(&mut host)),
            }
            .unwrap_or_default();
        }
        self.port.into_target()
    }

    fn ends(&self) -> bool {
        self.shared.ends.load(Ordering::SeqCst)
    }

    /// Serves a host until its connection ends.
    fn attend(&mut self, host: &mut impl Connection) {
        if host.set_limit(PERIOD).is_err() || self.ends() {
            return;
        }
        if self.converse(host) == End::Cut {
            host.cut();
        }
    }

    fn converse(&mut self, host: &mut impl Connection) -> End {
        let (mut commands, mut begun, mut piece) = (Commands::default(), Vec::new(), vec![0; 1 << 16]);
        loop {
            let count = match host.read(&mut piece) {
                Ok(0) => return End::Closed,
                Ok(count) => count,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if self.ends() {
                        return End::Cut;
                    }
                    continue;
                }
                Err(_) => return End::Closed,
            };
            begun.extend_from_slice(piece.get(..count).unwrap_or_default());
            while let Some(end) = begun.iter().position(|byte| *byte == 0) {
                let packet: Vec<u8> = begun.drain(..=end).collect();
                match self.packet(&mut commands, packet.split_last().map_or(&[], |(_, packet)| packet)) {
                    Ok(Reply { bytes, end }) => {
                        if host.write_all(&bytes).is_err() {
                            return End::Closed;
                        }
                        if let Some(end) = end {
                            return end;
                        }
                    }
                    Err(_) => return End::Closed,
                }
            }
        }
    }

    /// Does what a packet asks for.
    fn packet(&mut self, commands: &mut Commands, packet: &[u8]) -> Result<Reply, crate::glasgow::Malformed> {
        let number = self.shared.packets.fetch_add(1, Ordering::SeqCst);
        let faults = self.shared.faults().clone();
        let here = |fault: &dyn Fn(u64) -> Fault| faults.contains(&fault(number));
        if here(&|packet| Fault::Unplugged { packet }) {
            return Ok(Reply { bytes: Vec::new(), end: Some(End::Cut) });
        }
        if here(&|packet| Fault::Closed { packet }) {
            return Ok(Reply { bytes: Vec::new(), end: Some(End::Closed) });
        }
        self.silent |= here(&|packet| Fault::Silent { packet });
        if self.silent {
            return Ok(Reply { bytes: Vec::new(), end: None });
        }
        let commands = commands.packet(packet)?;
        let mut bytes = self.perform(&commands, &faults).packets();
        if self.port.watched_was_read() {
            return Ok(Reply { bytes: Vec::new(), end: Some(End::Cut) });
        }
        if here(&|packet| Fault::UnpluggedInside { packet }) {
            bytes.truncate(bytes.len() / 2);
            return Ok(Reply { bytes, end: Some(End::Cut) });
        }
        Ok(Reply { bytes, end: None })
    }

    fn perform(&mut self, commands: &[Command], faults: &[Fault]) -> Answers {
        self.apply(faults);
        let mut answers = Answers::default();
        let mut rest = commands;
        while let Some((&command, others)) = rest.split_first() {
            let transfers: Vec<Transfer> = rest
                .iter()
                .map_while(|command| match command {
                    Command::Transfer(transfer) => Some(*transfer),
                    _ => None,
                })
                .collect();
            if !transfers.is_empty() {
                for answer in self.transfers(&transfers, faults) {
                    answers.transfer(answer);
                }
                rest = rest.get(transfers.len()..).unwrap_or_default();
                continue;
            }
            match command {
                Command::Identify => answers.identity(),
                Command::Clock => answers.clock(),
                Command::Divisor => answers.divisor(self.divisor),
                Command::SetDivisor(divisor) => self.divisor = divisor,
                Command::AssertReset => {}
                // A target that is gone does not answer the next transfer either.
                Command::ClearReset => self.port.reset().unwrap_or_default(),
                Command::Sequence { bits, count } => self.port.sequence(bits, count),
                Command::Transfer(_) => {}
            }
            rest = others;
        }
        answers
    }

    /// Transfers in a row, one by one where a fault is to hit one.
    fn transfers(&mut self, transfers: &[Transfer], faults: &[Fault]) -> Vec<Answer> {
        let first = self.shared.transfers.fetch_add(transfers.len() as u64, Ordering::SeqCst);
        let hit = |number: u64| faults.iter().find(|fault| hits(fault, number));
        if (first..).zip(transfers).all(|(number, _)| hit(number).is_none()) {
            return self.port.transfers(transfers);
        }
        let each = (first..).zip(transfers).map(|(number, &transfer)| match hit(number) {
            Some(Fault::FlippedBit { .. }) => self.port.wrong_parity(transfer),
            Some(_) => {
                let data = transfer.data.map(|data| data ^ 1);
                match self.port.transfer(Transfer { data, ..transfer }) {
                    Answer::Read(data) => Answer::Read(data ^ 1),
                    other => other,
                }
            }
            None => self.port.transfer(transfer),
        });
        each.collect()
    }

    /// Faults that are not bound to a moment.
    fn apply(&mut self, faults: &[Fault]) {
        for fault in faults {
            match *fault {
                Fault::IdCode(dpidr) => self.port.set_identification(dpidr),
                Fault::NoTarget => self.port.take_away(),
                Fault::Locked => self.port.lock(),
                Fault::NeverHalts => self.port.never_halt(),
                Fault::Word { address, value } => self.port.read_word_as(address, value),
                Fault::Inverted { address, bits } => self.port.read_inverted(address, bits),
                Fault::UnpluggedAtRead { address } => self.port.watch(address),
                Fault::Unplugged { .. }
                | Fault::UnpluggedInside { .. }
                | Fault::Closed { .. }
                | Fault::Silent { .. }
                | Fault::FlippedBit { .. }
                | Fault::FlippedBits { .. } => continue,
            }
            self.shared.faults().retain(|other| other != fault);
        }
    }
}

/// Whether a fault hits this transfer.
fn hits(fault: &Fault, number: u64) -> bool {
    matches!(fault, Fault::FlippedBit { transfer } | Fault::FlippedBits { transfer } if *transfer == number)
}

/// What a packet is answered with.
struct Reply {
    bytes: Vec<u8>,
    end: Option<End>,
}

/// The target is gone, or the wire carries nothing.
impl From<TargetError> for io::Error {
    fn from(error: TargetError) -> Self {
        Self::other(error)
    }
}
