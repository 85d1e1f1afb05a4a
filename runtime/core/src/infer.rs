//! An inference as a future, for firmware that is written as async tasks.

use crate::engine::Engine;
use crate::linked::Ops;
#[cfg(feature = "alloc")]
use crate::owned::OwnedSession;
use crate::session::{Budget, Progress, Session};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// The rest of an inference as a future, from [`Session::infer`].
///
/// Each time it is polled it does one slice, wakes its task and yields, so that the executor's other tasks run between
/// slices. It works with any executor, and in an interrupt's task. When it is dropped before its end, the session stays
/// where it is: [`Session::poll`] or another `infer` goes on, [`Session::reset`] starts anew. It also ends where rows of an
/// input that comes in rows are missing: see [`Session::wants_rows`].
#[must_use = "an inference runs while its future is awaited"]
pub struct Infer<'s, S> {
    session: &'s mut S,
    budget: Budget,
    done: bool,
}

impl<'s, S> Infer<'s, S> {
    pub(crate) const fn new(session: &'s mut S, budget: Budget) -> Self {
        Self { session, budget, done: false }
    }
}

/// Does the next slice, by `slice` of the session, unless all is done: a session that is polled after its end would
/// start anew.
fn next_slice<S>(
    infer: &mut Infer<'_, S>,
    context: &Context<'_>,
    slice: impl FnOnce(&mut S, Budget) -> Progress,
) -> Poll<()> {
    if !infer.done && slice(infer.session, infer.budget).is_pending() {
        context.waker().wake_by_ref();
        return Poll::Pending;
    }
    infer.done = true;
    Poll::Ready(())
}

impl<O: Ops, E: Engine> Future for Infer<'_, Session<'_, O, E>> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        next_slice(&mut self, context, Session::poll)
    }
}

#[cfg(feature = "alloc")]
impl<B: AsRef<[u8]>, E: Engine> Future for Infer<'_, OwnedSession<B, E>> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        next_slice(&mut self, context, OwnedSession::poll)
    }
}

impl<S> fmt::Debug for Infer<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Infer").field("budget", &self.budget).field("done", &self.done).finish_non_exhaustive()
    }
}
