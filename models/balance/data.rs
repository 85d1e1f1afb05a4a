//! Simulated pushes: what the network is trained on and measured by.

use crate::random::Random;
use anyhow::{Context as _, Result, bail};
use std::cell::RefCell;
use tealight_balance::estimate::{Estimate, PERIOD_US};
use tealight_balance::push::Push;
use tealight_balance::run::{SimulatedApp, start};
use tealight_balance::world::World;

/// The number of control periods of an episode: four seconds.
pub const PERIODS: usize = 800;
/// The range of a push's force in N. The regulator recovers from most pushes of less than 11.5 N.
const NEWTONS: [f64; 2] = [2.0, 14.0];
/// The duration of a push in milliseconds.
const PUSH_MS: u32 = 100;

/// A robot that is released and then pushed once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Episode {
    /// The seed of the sensors' offsets and noise.
    pub seed: u64,
    /// The angle in rad at which it is released.
    pub angle: f32,
    /// The push.
    pub push: Push,
}

/// Returns `count` random episodes.
pub fn episodes(seed: u64, count: usize) -> Vec<Episode> {
    let mut random = Random::new(seed);
    let mut one = || {
        let sign = if random.unit() < 0.5 { -1.0 } else { 1.0 };
        let newtons = (sign * random.between(NEWTONS[0], NEWTONS[1])) as f32;
        let at_ms = random.between(300.0, 800.0) as u32;
        let (seed, angle) = (random.below(1 << 32) as u64, random.between(-0.1, 0.1) as f32);
        Episode { seed, angle, push: Push { at_ms, newtons, ms: PUSH_MS } }
    };
    (0..count).map(|_| one()).collect()
}

/// Runs the episodes side by side, so that `decide` sees the estimates of all robots at once and returns a torque in N m
/// for each. Returns for each episode whether the robot stands at its end. `cost` is that of a decision.
///
/// # Errors
/// Those of `decide`, and if it returns another number of torques.
pub fn simulate(
    episodes: &[Episode],
    cost: u64,
    mut decide: impl FnMut(&[Estimate]) -> Result<Vec<f32>>,
) -> Result<Vec<bool>> {
    let worlds: Vec<RefCell<World>> = episodes
        .iter()
        .map(|one| RefCell::new(World::new(one.seed, one.angle, std::slice::from_ref(&one.push))))
        .collect();
    let mut apps = worlds.iter().map(|world| start(world).context("the app")).collect::<Result<Vec<SimulatedApp>>>()?;
    let mut begins = Vec::new();
    for world in &worlds {
        world.borrow_mut().release();
        begins.push(world.borrow().now());
    }
    for period in 1..=PERIODS as u64 {
        let estimates = apps.iter_mut().map(|app| Ok(app.sense()?.0)).collect::<Result<Vec<Estimate>>>()?;
        let torques = decide(&estimates)?;
        if torques.len() != episodes.len() {
            bail!("{} torques for {} robots", torques.len(), episodes.len());
        }
        for ((app, torque), (world, begin)) in apps.iter_mut().zip(torques).zip(worlds.iter().zip(&begins)) {
            world.borrow_mut().compute(cost);
            app.set_torque(torque)?;
            world.borrow_mut().wait_until(begin + period * PERIOD_US);
        }
    }
    Ok(worlds.iter().map(|world| !world.borrow().state().fallen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tealight_balance::lqr::Lqr;
    use tealight_balance::plant::ROBOT;
    use tealight_balance::policy::Policy as _;
    use tealight_balance::run::{Setup, run};

    #[test]
    fn robots_side_by_side_stand_and_fall_as_each_alone() {
        let episodes = episodes(1, 12);
        let mut lqr = Lqr::of(&ROBOT);
        let cost = lqr.cost();
        let mut decide = |estimates: &[Estimate]| Ok(estimates.iter().map(|one| lqr.torque(one)).collect());
        let stand = simulate(&episodes, cost, &mut decide).unwrap();
        assert!(stand.contains(&true) && stand.contains(&false));
        for (one, stands) in episodes.iter().zip(stand) {
            let pushes = [one.push];
            let setup = Setup { seed: one.seed, angle: one.angle, periods: PERIODS as u32, pushes: &pushes };
            let alone = run::<tealight::AllOps>(&setup, &mut Lqr::of(&ROBOT), None, |_| {}).unwrap();
            assert_eq!(alone.fallen, !stands, "{one:?}");
        }
    }
}
