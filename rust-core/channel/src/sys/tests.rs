//! Sockets and shared memory as every system must give them.
