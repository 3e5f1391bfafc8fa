# Microsoft Intune remediation, the remediation script. Twice is once.
#
# NOT RUN YET: see detect.ps1. The policy is a file that only administrators can write, and is put in
# place by the Win32 app that installs the program: managed-policy.json in %ProgramData%\ccretain.
$program = Join-Path $env:ProgramFiles 'ccretain\ccretain.exe'
if (-not (Test-Path -LiteralPath $program)) {
    Write-Output 'ccretain is not installed: assign the app first'
    exit 1
}
$action = New-ScheduledTaskAction -Execute $program -Argument 'enforce --yes'
$trigger = New-ScheduledTaskTrigger -Daily -At '12:30'
$settings = New-ScheduledTaskSettingsSet -StartWhenAvailable -DontStopOnIdleEnd
$null = Register-ScheduledTask -TaskName 'ccretain' -Action $action -Trigger $trigger -Settings $settings -Force
& $program enforce --yes 2>$null
exit $LASTEXITCODE
