package emulator
import ("io/fs"; "time"; "testing/fstest")
func Sample(now time.Time) fs.FS { return fstest.MapFS{} }
