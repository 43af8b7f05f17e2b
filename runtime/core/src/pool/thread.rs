//! A thread, started by the system's own call.
//!
//! `std::thread` prepares each new thread for reports of stack overflows, on the thread itself, and
//! ends the process if there is no memory left for that: a thread that cannot be started would be an
//! abort. Here nothing can fail after the system has started the thread.

use std::ffi::{CString, c_void};
use std::io;
use std::mem::MaybeUninit;

/// The stack of a thread in bytes, as large as `std::thread` makes it.
const STACK: usize = 2 << 20;

type Body = Box<dyn FnOnce() + Send>;

/// A running thread; it must be [joined](Thread::join), else its memory is lost.
pub(super) struct Thread(libc::pthread_t);

impl Thread {
    /// Starts a thread that executes `body`. The body must not unwind: the process aborts if it does.
    pub(super) fn start(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
        let attributes = Attributes::new()?;
        let argument = Box::into_raw(Box::new(Box::new(body) as Body));
        let mut thread = MaybeUninit::uninit();
        // SAFETY: the attributes are initialised; `main` has the signature that the system calls and
        // takes the argument over, which is a `Body` that can be sent to it.
        let error = unsafe {
            libc::pthread_create(thread.as_mut_ptr(), &raw const attributes.0, main, argument.cast())
        };
        if error != 0 {
            // SAFETY: no thread was made, so nobody else has the box.
            drop(unsafe { Box::from_raw(argument) });
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: the system wrote it, since it succeeded.
        let thread = Thread(unsafe { thread.assume_init() });
        thread.set_name(name);
        Ok(thread)
    }

    /// Waits until the thread has ended.
    pub(super) fn join(self) {
        // SAFETY: the thread was made joinable and is joined once, for this takes the handle.
        let error = unsafe { libc::pthread_join(self.0, std::ptr::null_mut()) };
        debug_assert_eq!(error, 0, "a thread can be joined");
    }

    /// Names the thread for debuggers and profilers. Without a name they only show less.
    fn set_name(&self, name: &str) {
        #[cfg(target_os = "linux")]
        if let Ok(name) = CString::new(name) {
            // SAFETY: the thread was not joined yet, and the name ends with a zero byte.
            let _ = unsafe { libc::pthread_setname_np(self.0, name.as_ptr()) };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = CString::new(name);
    }
}

/// The attributes with which the system makes a thread.
struct Attributes(libc::pthread_attr_t);

impl Attributes {
    fn new() -> io::Result<Attributes> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: it initialises what it is given.
        let error = unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: initialised, since it succeeded.
        let mut attributes = Attributes(unsafe { attributes.assume_init() });
        // SAFETY: the attributes are initialised. A system that refuses the size uses its own.
        unsafe { libc::pthread_attr_setstacksize(&raw mut attributes.0, STACK) };
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: they were initialised and are destroyed once.
        unsafe { libc::pthread_attr_destroy(&raw mut self.0) };
    }
}

/// The function with which a thread begins.
extern "C" fn main(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `start` passes a `Body` that came from `Box::into_raw`, once.
    let body = unsafe { Box::from_raw(argument.cast::<Body>()) };
    body();
    std::ptr::null_mut()
}
