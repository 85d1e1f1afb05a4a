//! What decides the torque: a network, or anything else.

use crate::estimate::Estimate;
use crate::plant::ROBOT;
use tealight::{Ops, Session};

/// The angle in rad, the rate in rad/s and the speed in m/s that are 1 at the input of the network; beyond, they are
/// clamped.
pub const RANGE: [f32; 3] = [0.8, 8.0, 4.0];

/// Decides the torque.
pub trait Policy {
    /// Returns the motors' torque in N m, positive forward.
    fn torque(&mut self, estimate: &Estimate) -> f32;

    /// Returns the cost of a decision in multiply-accumulates.
    fn cost(&self) -> u64;
}

/// Returns an estimate as the network's three inputs.
pub fn input(estimate: &Estimate) -> [f32; 3] {
    let [angle, rate, speed] = RANGE;
    [estimate.angle / angle, estimate.rate / rate, estimate.speed / speed].map(|value| value.clamp(-1.0, 1.0))
}

/// Returns the torque in N m that the network's output asks for: its share of the maximum torque.
pub fn torque(output: f32) -> f32 {
    output.clamp(-1.0, 1.0) * ROBOT.max_torque
}

/// A compiled network with an input of three elements and an output of one, int8 or f32.
#[derive(Debug)]
pub struct Network<'m, O: Ops>(Session<'m, O>);

impl<'m, O: Ops> Network<'m, O> {
    /// Takes a session; `None` if its network has another input or output.
    pub fn new(mut session: Session<'m, O>) -> Option<Self> {
        let takes = session.input(0)?.quantize_from(&[0.0; 3]).is_ok();
        let returns = session.output(0)?.iter_f32().count() == 1;
        (takes && returns).then_some(Self(session))
    }
}

impl<O: Ops> Policy for Network<'_, O> {
    fn torque(&mut self, estimate: &Estimate) -> f32 {
        if let Some(mut tensor) = self.0.input(0) {
            // The constructor has tried it.
            let _ = tensor.quantize_from(&input(estimate));
        }
        self.0.run();
        torque(self.0.output(0).and_then(|output| output.get_f32(0)).unwrap_or(0.0))
    }

    fn cost(&self) -> u64 {
        self.0.model().cost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_and_torques_are_clamped() {
        assert_eq!(input(&Estimate { angle: 0.4, rate: -50.0, speed: 0.0 }), [0.5, -1.0, 0.0]);
        assert_eq!([torque(0.5), torque(-3.0)], [0.2, -0.4]);
    }
}
