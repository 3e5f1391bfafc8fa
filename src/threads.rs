//! The threads that share work which goes over many files.

use std::sync::Once;

/// The most threads; more do not help a disk, and deleting is bound by the file system's journal.
const MOST: usize = 8;

/// How many threads there are. The first call sets them up, for all parallel work of the process;
/// a program that uses this library and has set up rayon's own threads keeps those.
pub fn count() -> usize {
    static SET_UP: Once = Once::new();
    SET_UP.call_once(|| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST);
        // An error says that they are set up already.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    });
    rayon::current_num_threads()
}
