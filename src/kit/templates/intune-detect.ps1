# Microsoft Intune remediation, the detection script: 0 is fine, 1 starts remediate.ps1. Changes nothing.
#
# NOT RUN YET: the program is only type-checked for Windows. Run it with the logged-on user's credentials
# and in 64-bit PowerShell: there is no --all-users on Windows. Nothing may reach stderr, which Intune
# takes for an error of the script whatever the exit code says.
$program = Join-Path $env:ProgramFiles 'ccretain\ccretain.exe'
if (-not (Test-Path -LiteralPath $program)) {
    Write-Output 'ccretain is not installed'
    exit 1
}
& $program check --exit-style intune 2>$null
exit $LASTEXITCODE
