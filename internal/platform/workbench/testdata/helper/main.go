// Command helper is what a hostile function starts: it leaves its session, ignores every signal that can be ignored, and starts more of its kind.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	mode, mark := os.Args[1], os.Args[2]
	start := func(mode string) error {
		c := exec.Command("/proc/self/exe", mode, mark)
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return c.Start()
	}
	switch mode {
	case "leave": // twice, and the parents end
		fmt.Println("left", start("between"))
	case "between":
		if err := start("sleep"); err != nil {
			os.Exit(1)
		}
	case "fork":
		n := 0
		for ; n < 10000; n++ {
			if err := start("sleep"); err != nil {
				fmt.Println(n, err)
				return
			}
		}
		fmt.Println(n, "and no end")
	default:
		signal.Ignore()
		time.Sleep(time.Hour)
	}
}
