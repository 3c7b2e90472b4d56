package storage

import (
	"os"
	"syscall"
)

const openFlags = 0

// foldNames: file names that differ in case only are one file here.
const foldNames = true

// ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED.
var fullErrors = []error{syscall.Errno(39), syscall.Errno(112), syscall.Errno(1295)}

// ERROR_TOO_MANY_OPEN_FILES.
var tooManyErrors = []error{syscall.Errno(4)}

// syncFolder does nothing: the system keeps the names with the files.
func syncFolder(*os.Root, string) error { return nil }
