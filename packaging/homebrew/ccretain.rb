# The formula for a tap, which packaging/release fills in. Not run on a Mac yet.
class Ccretain < Formula
  desc "Enforces retention on the session data that Claude Code leaves on a disk"
  homepage "@HOMEPAGE@"
  url "@DOWNLOAD@/ccretain-@VERSION@.tar.gz"
  sha256 "@SHA256@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", "--profile", "dist", *std_cargo_args
    man1.install Dir["man/*.1"]
    man5.install Dir["man/*.5"]
    generate_completions_from_executable(bin/"ccretain", "completions")
    pkgshare.install "packaging/policies"
  end

  # For one user: "brew services start ccretain". Nothing runs before somebody says so.
  service do
    run [opt_bin/"ccretain", "enforce", "--yes"]
    run_type :cron
    cron "30 12 * * *"
    process_type :background
    environment_variables PATH: std_service_path_env
    log_path var/"log/ccretain.log"
    error_log_path var/"log/ccretain.log"
  end

  test do
    assert_equal "ccretain #{version}", shell_output("#{bin}/ccretain --version").strip
    (testpath/"policy.json").write '{"version": 1, "rules": [{"deleteAfter": "30d"}]}'
    system bin/"ccretain", "policy", "check", testpath/"policy.json"
  end
end
