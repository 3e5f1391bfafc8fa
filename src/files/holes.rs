//! Holes: parts of a file that hold nothing and read as zeros. Twenty gigabytes of them lie on no disk, and took two
//! minutes to be read.

use std::fs::File;
use std::io;
use std::ops::Range;

/// The next part of a file that is no hole, at or after a place; `None` where nothing but a hole follows. Where the
/// system does not tell, all is. The position in the file is another one afterwards.
///
/// # Errors
/// None today; the signature is that of a call that can fail.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub fn data_from(file: &File, at: u64) -> io::Result<Option<Range<u64>>> {
    use rustix::fs::{SeekFrom, seek};
    match seek(file, SeekFrom::Data(at)) {
        Ok(start) => {
            // The file may have been cut in between: then what is read tells its end.
            let end = seek(file, SeekFrom::Hole(start)).unwrap_or(u64::MAX);
            Ok(Some(start..end.max(start + 1)))
        }
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(_) => Ok(Some(at..u64::MAX)),
    }
}

/// Where the system does not tell holes, all is content.
///
/// # Errors
/// None.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn data_from(_: &File, at: u64) -> io::Result<Option<Range<u64>>> {
    Ok(Some(at..u64::MAX))
}

/// Where the last part before a place ends that is no hole; the place itself where it is in none, or where a file has
/// so many holes that looking for them would take longer than reading.
///
/// # Errors
/// As [`data_from`].
pub fn data_before(file: &File, at: u64) -> io::Result<u64> {
    const MOST: usize = 10_000;
    // Mostly it is in none.
    if data_from(file, at.saturating_sub(1))?.is_some_and(|data| data.start < at) {
        return Ok(at);
    }
    let (mut from, mut last) = (0, 0);
    for _ in 0..MOST {
        match data_from(file, from)?.filter(|data| data.start < at) {
            Some(data) => (from, last) = (data.end, data.end),
            None => return Ok(last.min(at)),
        }
    }
    Ok(at)
}
