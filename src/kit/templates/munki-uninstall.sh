#!/bin/sh
exec "/Library/Application Support/ccretain/uninstall"
