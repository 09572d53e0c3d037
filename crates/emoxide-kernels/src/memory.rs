//! How the allocator treats memory that was freed.

/// Makes the allocator keep freed memory for the next tensor instead of giving it back to the system.
///
/// A training step frees and takes the same few hundred megabytes again; fresh pages for them cost about a seventh of
/// the step. For programs that train, once, before the first tensor. Only glibc can be told; elsewhere it does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const MEBIBYTE: i32 = 1024 * 1024;
        // SAFETY: `mallopt` may be called at any time; values that it does not take are left as they were.
        unsafe {
            // No mapping of its own for a large block, which would go back as soon as it is freed.
            libc::mallopt(libc::M_MMAP_MAX, 0);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            libc::mallopt(libc::M_TOP_PAD, 64 * MEBIBYTE);
        }
    }
}
