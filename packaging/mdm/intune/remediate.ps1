# Microsoft Intune remediation, the remediation script.
#
# NOT RUN YET: see detect.ps1. On Windows ccretain looks and changes nothing, so there is nothing that this
# script could put right; it says so, and the device stays reported. The policy is a file that only
# administrators can write, and is put in place by the Win32 app that installs the program:
# managed-policy.json in %ProgramData%\ccretain.
$program = Join-Path $env:ProgramFiles 'ccretain\ccretain.exe'
if (-not (Test-Path -LiteralPath $program)) {
    Write-Output 'ccretain is not installed: assign the app first'
    exit 1
}
Write-Output 'ccretain changes nothing on Windows yet: remove what is overdue by hand'
exit 1
