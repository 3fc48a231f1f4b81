//! stub
use std::marker::PhantomData;
use crate::{stage::StageFn, Emit, Batch, graph::Blueprint};
pub struct Outlet<'a, T, E>(pub Emit<T>, PhantomData<&'a E>);
impl<T, E> Outlet<'_, T, E> { pub fn send(&mut self, _: T) {} pub fn fail(&mut self, _: E) {} pub fn took(&mut self) {} pub fn took_many(&mut self, _: usize) {} pub fn emit(&mut self) -> &mut Emit<T> { &mut self.0 } }
pub trait Call: StageFn { fn call(x: Self::In, s: &mut Self::State, env: &Self::Env, out: &mut Outlet<'_, Self::Out, Self::Err>); }
pub trait CallBatch: StageFn { fn call(x: &mut Batch<Self::In>, s: &mut Self::State, env: &Self::Env, out: &mut Outlet<'_, Self::Out, Self::Err>); }
pub fn no_env<E>(_: &E) -> &() { &() }
pub struct DryAssembly<P>(PhantomData<P>);
impl<P: Blueprint> DryAssembly<P> {
 pub fn plain<S: Call>(&mut self, _: u16, _: fn(&P::Env) -> &S::Env) {}
 pub fn stateful<S: Call>(&mut self, _: u16, _: fn(&P::Env) -> &S::Env) {}
 pub fn keyed<S: Call>(&mut self, _: u16, _: fn(&P::Env) -> &S::Env) {}
 pub fn batch<S: CallBatch>(&mut self, _: u16, _: fn(&P::Env) -> &S::Env) {}
 pub fn stateful_batch<S: CallBatch>(&mut self, _: u16, _: fn(&P::Env) -> &S::Env) {}
 pub fn copies<S: StageFn>(&mut self, _: u16, _: fn(&S::Out) -> S::Out) {}
 pub fn err_copies<S: StageFn>(&mut self, _: u16, _: fn(&S::Err) -> S::Err) {}
 pub fn routes<S: StageFn>(&mut self, _: u16, _: fn(S::Out) -> Routed) {}
}
pub struct Routed;
pub fn routed<T>(_: &'static str, _: T) -> Routed { Routed }
