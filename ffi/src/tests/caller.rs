//! A caller of the ABI as C# is one: structs in its own frame, handles, and no Rust of ours beyond the exports.

use super::sidecar::Sidecar;
use crate::abi::*;
use crate::exports::*;

/// A text of a caller.
pub(crate) fn text(text: &str) -> TfText {
    TfText { data: text.as_ptr(), bytes: text.len() as u32, reserved: 0 }
}

/// Options for a session that starts no sidecar.
pub(crate) fn options(data_dir: &str, project: &str) -> TfOptions {
    TfOptions {
        struct_size: size_of::<TfOptions>() as u32,
        abi: TF_ABI_VERSION,
        flags: 0,
        argument_count: 0,
        arguments: std::ptr::null(),
        data_dir: text(data_dir),
        project: text(project),
        program: text(""),
    }
}

/// A request for pixels, whose asset is its prompt.
pub(crate) fn request(prompt: &str, width: u32, height: u32, tag: u64) -> TfRequest {
    TfRequest {
        struct_size: size_of::<TfRequest>() as u32,
        flags: 0,
        tag,
        asset: text(prompt),
        locale: text("ja"),
        recipe_json: text(""),
        prompt: text(prompt),
        negative: text(""),
        model: text(""),
        words: text(""),
        width,
        height,
        tier: TF_TIER_PRODUCTION,
        steps: 0,
        seed: 0,
        guidance: 0.0,
        lane: TF_LANE_INTERACTIVE,
        priority: 0,
        deliver: TF_DELIVER_PIXELS,
        reserved: 0,
        safe_inset: 0.0,
        deadline_ms: 0,
    }
}

/// What a two-call text function gives.
fn two_calls(call: impl Fn(*mut u8, u32, *mut u32) -> u32) -> Result<String, u32> {
    let mut needed = 0;
    match call(std::ptr::null_mut(), 0, &raw mut needed) {
        TF_OK => {}
        status => return Err(status),
    }
    let mut bytes = vec![0; needed as usize];
    match call(bytes.as_mut_ptr(), needed, &raw mut needed) {
        TF_OK => Ok(String::from_utf8(bytes).expect("UTF-8")),
        status => Err(status),
    }
}

/// Why this thread's last call failed.
pub(crate) fn last_error() -> String {
    // SAFETY: a buffer of `capacity` bytes and a number.
    two_calls(|buffer, capacity, needed| unsafe { tf_last_error(buffer, capacity, needed) }).expect("a text")
}

/// A session and its calls.
pub(crate) struct Caller {
    /// Its handle.
    pub(crate) session: u64,
    closed: bool,
}

impl Caller {
    /// Opens a session at a sidecar.
    pub(crate) fn open(sidecar: &Sidecar, project: &str) -> Self {
        let folder = sidecar.data_dir();
        Self::open_with(&options(&folder, project))
    }

    /// Opens a session.
    pub(crate) fn open_with(options: &TfOptions) -> Self {
        let mut session = 0;
        // SAFETY: a struct and a number that are there.
        let status = unsafe { tf_open(&raw const *options, &raw mut session) };
        assert_eq!(status, TF_OK, "{}", last_error());
        Self { session, closed: false }
    }

    /// Submits what must be taken.
    pub(crate) fn submit(&self, request: &TfRequest) -> u64 {
        let mut job = 0;
        // SAFETY: a struct and a number that are there.
        let status = unsafe { tf_submit(self.session, &raw const *request, &raw mut job) };
        assert_eq!(status, TF_OK, "{}", last_error());
        job
    }

    /// Asks for a command.
    pub(crate) fn command(&self, json: &str, tag: u64) -> Result<u64, u32> {
        let mut job = 0;
        // SAFETY: a text and a number that are there.
        match unsafe { tf_command(self.session, json.as_ptr(), json.len() as u32, tag, &raw mut job) } {
            TF_OK => Ok(job),
            status => Err(status),
        }
    }

    /// Waits for something to poll.
    pub(crate) fn wait(&self, timeout_ms: u32) -> bool {
        let mut ready = 0;
        // SAFETY: a number that is there.
        let status = unsafe { tf_wait(self.session, timeout_ms, &raw mut ready) };
        assert_eq!(status, TF_OK, "{}", last_error());
        ready == 1
    }

    fn poll(&self, capacity: usize) -> Vec<TfCompletion> {
        // SAFETY: numbers and null pointers, for which zeroes are values.
        let mut room: Vec<TfCompletion> = vec![unsafe { std::mem::zeroed() }; capacity];
        room[0].struct_size = size_of::<TfCompletion>() as u32;
        let mut count = 0;
        // SAFETY: an array of `capacity` structs and a number.
        let status = unsafe { tf_poll(self.session, room.as_mut_ptr(), capacity as u32, &raw mut count) };
        assert_eq!(status, TF_OK, "{}", last_error());
        room.truncate(count as usize);
        room
    }

    /// At least one completion, at most seven.
    pub(crate) fn completions(&self) -> Vec<TfCompletion> {
        assert!(self.wait(super::PATIENCE_MS), "nothing came");
        self.poll(7)
    }

    /// The next completion.
    pub(crate) fn completion(&self) -> TfCompletion {
        assert!(self.wait(super::PATIENCE_MS), "nothing came");
        self.poll(1).remove(0)
    }

    /// Jobs that were not released.
    pub(crate) fn jobs(&self) -> Vec<TfJob> {
        let mut count = 0;
        // SAFETY: a number; then an array of as many structs as are said.
        unsafe {
            assert_eq!(tf_jobs(self.session, std::ptr::null_mut(), 0, &raw mut count), TF_OK);
            let struct_size = size_of::<TfJob>() as u32;
            let mut jobs = vec![TfJob { struct_size, state: 0, job: 0, tag: 0 }; count as usize + 1];
            assert_eq!(tf_jobs(self.session, jobs.as_mut_ptr(), count + 1, &raw mut count), TF_OK);
            jobs.truncate(count as usize);
            jobs
        }
    }

    /// How it stands.
    pub(crate) fn state(&self) -> TfSessionState {
        // SAFETY: numbers, for which zeroes are values; then a struct that is there.
        unsafe {
            let mut state: TfSessionState = std::mem::zeroed();
            state.struct_size = size_of::<TfSessionState>() as u32;
            assert_eq!(tf_session_state(self.session, &raw mut state), TF_OK);
            state
        }
    }

    /// Why it has no sidecar.
    pub(crate) fn session_text(&self) -> String {
        // SAFETY: a buffer of `capacity` bytes and a number.
        two_calls(|buffer, capacity, needed| unsafe { tf_session_text(self.session, buffer, capacity, needed) })
            .expect("a text")
    }

    /// How far a job is.
    pub(crate) fn progress(&self, job: u64) -> Result<TfProgress, u32> {
        let mut progress = TfProgress { struct_size: size_of::<TfProgress>() as u32, state: 0, step: 0, steps: 0 };
        // SAFETY: a struct that is there.
        match unsafe { tf_progress(job, &raw mut progress) } {
            TF_OK => Ok(progress),
            status => Err(status),
        }
    }

    /// A text of a job.
    pub(crate) fn text(&self, job: u64, part: u32) -> Result<String, u32> {
        // SAFETY: a buffer of `capacity` bytes and a number.
        two_calls(|buffer, capacity, needed| unsafe { tf_job_text(job, part, buffer, capacity, needed) })
    }

    /// The texture of a job.
    pub(crate) fn view(&self, job: u64) -> Result<TfTexture, u32> {
        // SAFETY: numbers and a pointer, for which zeroes are values; then a struct that is there.
        unsafe {
            let mut texture: TfTexture = std::mem::zeroed();
            texture.struct_size = size_of::<TfTexture>() as u32;
            match tf_texture_view(job, &raw mut texture) {
                TF_OK => Ok(texture),
                status => Err(status),
            }
        }
    }

    /// A copy of the texture of a job, in a buffer of `bytes`.
    pub(crate) fn copy(&self, job: u64, bytes: usize, rows: u32) -> Result<Vec<u8>, u32> {
        let mut buffer = vec![0; bytes];
        // SAFETY: a buffer of as many bytes as are said.
        match unsafe { tf_texture_copy(job, buffer.as_mut_ptr(), bytes as u64, rows) } {
            TF_OK => Ok(buffer),
            status => Err(status),
        }
    }

    /// Gives a completion back.
    pub(crate) fn release(&self, job: u64) -> u32 {
        // SAFETY: a handle.
        unsafe { tf_release(job) }
    }

    /// Lets go; the stale handle.
    pub(crate) fn relinquish(mut self) -> u64 {
        self.closed = true;
        // SAFETY: a handle.
        assert_eq!(unsafe { tf_relinquish(self.session) }, TF_OK);
        self.session
    }

    /// Closes it.
    pub(crate) fn close(mut self) {
        self.closed = true;
        // SAFETY: a handle.
        assert_eq!(unsafe { tf_close(self.session) }, TF_OK, "{}", last_error());
    }

    /// Its session is somebody else's.
    pub(crate) fn forget(mut self) {
        self.closed = true;
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if !self.closed {
            // SAFETY: a handle. A test that fails leaves no session behind.
            unsafe { tf_close(self.session) };
        }
    }
}

/// Makes every call that takes a handle.
pub(crate) fn every_call(handle: u64, mut see: impl FnMut(&str, u32)) {
    every_call_but_close(handle, &mut see);
    // SAFETY: a handle.
    unsafe {
        see("tf_relinquish", tf_relinquish(handle));
        see("tf_close", tf_close(handle));
    }
}

/// Makes every call that takes a handle and leaves the session where it is.
pub(crate) fn every_call_but_close(handle: u64, mut see: impl FnMut(&str, u32)) {
    let asked = request("hold", 8, 8, 0);
    let (path, command) = ("/art.png", r#"{"verb":"doctor"}"#);
    let (mut id, mut count, mut bytes) = (0_u64, 0_u32, [0_u8; 256]);
    // SAFETY: numbers, buffers and structs of this frame, each as large as it says.
    unsafe {
        let mut state: TfSessionState = std::mem::zeroed();
        state.struct_size = size_of::<TfSessionState>() as u32;
        let mut completion: TfCompletion = std::mem::zeroed();
        completion.struct_size = size_of::<TfCompletion>() as u32;
        let mut job: TfJob = std::mem::zeroed();
        job.struct_size = size_of::<TfJob>() as u32;
        let mut progress: TfProgress = std::mem::zeroed();
        progress.struct_size = size_of::<TfProgress>() as u32;
        let mut texture: TfTexture = std::mem::zeroed();
        texture.struct_size = size_of::<TfTexture>() as u32;
        see("tf_session_state", tf_session_state(handle, &raw mut state));
        see("tf_session_text", tf_session_text(handle, bytes.as_mut_ptr(), 256, &raw mut count));
        see("tf_submit", tf_submit(handle, &raw const asked, &raw mut id));
        see("tf_provide", tf_provide(handle, path.as_ptr(), path.len() as u32, 0, &raw mut id));
        see("tf_command", tf_command(handle, command.as_ptr(), command.len() as u32, 0, &raw mut id));
        see("tf_jobs", tf_jobs(handle, &raw mut job, 1, &raw mut count));
        see("tf_progress", tf_progress(handle, &raw mut progress));
        see("tf_cancel", tf_cancel(handle));
        see("tf_wait", tf_wait(handle, 1, &raw mut count));
        see("tf_poll", tf_poll(handle, &raw mut completion, 1, &raw mut count));
        see("tf_job_text", tf_job_text(handle, TF_TEXT_ASSET, bytes.as_mut_ptr(), 256, &raw mut count));
        see("tf_texture_view", tf_texture_view(handle, &raw mut texture));
        see("tf_texture_copy", tf_texture_copy(handle, bytes.as_mut_ptr(), 256, TF_ROWS_TOP_DOWN));
        see("tf_release", tf_release(handle));
    }
}
