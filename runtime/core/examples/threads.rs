//! Times a model with one thread and with several, in alternation, and compares the bits of its outputs:
//!
//! ```sh
//! cargo run --release --package tealight --features threads --example threads -- MODEL.safetensors 2 4
//! ```
//!
//! Without a model it takes a network of 56 million multiply-accumulates. The time of an inference is the minimum of
//! all: other programs on the computer only make it longer.

use std::error::Error;
use std::time::{Duration, Instant};
use tealight::{OwnedSession, Threads};
use tealight_format::ops::{ActivationRange, Conv2d, DepthwiseConv2d};
use tealight_format::{DType, Operator};
use tealight_testing::build::{Parts, arena};
use tealight_testing::rng::Rng;

/// How often each number of threads has its turn.
const ROUNDS: usize = 20;

/// The duration of a turn.
const TURN: Duration = Duration::from_millis(150);

/// The number of inferences of a turn whose outputs are compared.
const COMPARED: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (models, numbers): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.ends_with(".safetensors"));
    let file = match models.first() {
        Some(path) => std::fs::read(path)?,
        None => convolutions().file(),
    };
    let mut counts = vec![1];
    for number in numbers {
        counts.push(number.parse()?);
    }
    if counts.len() == 1 {
        counts.push(2);
    }
    let mut runs = counts.iter().map(|&count| Run::new(&file, count)).collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    for _ in 0..ROUNDS {
        runs.iter_mut().for_each(Run::take_turn);
    }
    println!("threads      ms  speedup  same bits");
    let first = (runs[0].best, runs[0].outputs.clone());
    for run in &runs {
        let ms = run.best.as_secs_f64() * 1e3;
        let speedup = first.0.as_secs_f64() / run.best.as_secs_f64();
        println!("{:7} {ms:7.2}  {speedup:7.2}  {}", run.count, if run.outputs == first.1 { "yes" } else { "NO" });
    }
    Ok(())
}

/// A session with some threads, and its best time.
struct Run {
    count: usize,
    session: OwnedSession,
    best: Duration,
    /// The outputs of the first inferences of a turn.
    outputs: Vec<Vec<u8>>,
}

impl Run {
    fn new(file: &[u8], count: usize) -> Result<Self, Box<dyn Error>> {
        let session = OwnedSession::from_bytes(file)?.with_threads(Threads::new(count))?;
        Ok(Self { count, session, best: Duration::MAX, outputs: Vec::new() })
    }

    /// Runs inferences with the same inputs in every turn, from the initial state on.
    fn take_turn(&mut self) {
        self.session.reset();
        self.outputs.clear();
        let (start, mut inputs) = (Instant::now(), Rng(1));
        while start.elapsed() < TURN || self.outputs.len() < COMPARED {
            for i in 0..self.session.model().input_count() {
                if let Some(mut input) = self.session.input(i) {
                    input.as_bytes_mut().fill(0);
                    // Small positive integers, and as f32 numbers near 0.
                    input.as_bytes_mut().chunks_mut(4).for_each(|word| word[0] = (inputs.next() % 100) as u8);
                }
            }
            let start = Instant::now();
            self.session.run();
            self.best = self.best.min(start.elapsed());
            if self.outputs.len() < COMPARED {
                let outputs = (0..self.session.model().output_count()).filter_map(|i| self.session.output(i));
                self.outputs.push(outputs.flat_map(|output| output.as_bytes().to_vec()).collect());
            }
        }
    }
}

/// The constants of each layer of [`convolutions`].
const NAMES: [[&str; 2]; 7] = [
    ["a.channels", "a.weights"],
    ["b.channels", "b.weights"],
    ["c.channels", "c.weights"],
    ["d.channels", "d.weights"],
    ["e.channels", "e.weights"],
    ["f.channels", "f.weights"],
    ["g.channels", "g.weights"],
];

/// Int8 convolutions of an image of 96×96 pixels, in three steps to half the size, with depthwise and pointwise ones in
/// between.
fn convolutions() -> Parts {
    let layers = [(3, 2, 32), (3, 1, 0), (1, 1, 64), (3, 2, 64), (3, 1, 0), (1, 1, 128), (3, 2, 128)];
    let mut random = Rng(7);
    let mut shapes = vec![[96, 96, 3]];
    let mut parts = Parts { inputs: 1, ..Parts::default() };
    for ((size, stride, channels), [table, weights]) in layers.into_iter().zip(NAMES) {
        let [height, width, inputs] = shapes[shapes.len() - 1];
        // A depthwise convolution has 0 in the place of its channels, of which it has those of its input.
        let (kernel, outputs) =
            if channels == 0 { ([1, size, size, inputs], inputs) } else { ([channels, size, size, inputs], channels) };
        let factor = [0, 1 << 30, -7].map(i32::to_le_bytes).concat();
        parts.constants.push((table, DType::I32, vec![outputs, 3], factor.repeat(outputs as usize)));
        let count = kernel.iter().product::<u32>();
        parts.constants.push((weights, DType::I8, kernel.to_vec(), (0..count).map(|_| random.next() as u8).collect()));
        shapes.push([height / stride, width / stride, outputs]);
    }
    for (i, [height, width, channels]) in shapes.iter().copied().enumerate() {
        // Two places in turn, each as large as the largest tensor.
        let (offset, at) = ((i % 2 * 48 * 48 * 64) as u32, i.saturating_sub(1) as u16);
        parts.values.push(arena(&[1, height, width, channels], offset, (at, i as u16)));
    }
    for (i, (size, stride, channels)) in layers.into_iter().enumerate() {
        let conv = Conv2d {
            stride: [stride as i32; 2],
            dilation: [1, 1],
            pad: [(size / 2) as i32; 2],
            activation: ActivationRange::FULL,
        };
        let operator =
            if channels == 0 { Operator::DepthwiseConv2d(DepthwiseConv2d(conv)) } else { Operator::Conv2d(conv) };
        let (first, input) = (2 * i as u16, (2 * NAMES.len() + i) as u16);
        parts.op(operator, &[Some(input), Some(first + 1), Some(first)], input + 1, None);
    }
    parts.outputs = vec![(2 * NAMES.len() + layers.len()) as u16];
    parts
}
